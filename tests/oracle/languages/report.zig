//! Reports what a program of Zig sees and does through its standard library. The other programs print the same.

const std = @import("std");
const Io = std.Io;

fn byText(_: void, a: []const u8, b: []const u8) bool {
    return std.mem.lessThan(u8, a, b);
}

fn numbers(allocator: std.mem.Allocator) !u32 {
    var all: std.ArrayList(u32) = .empty;
    defer all.deinit(allocator);
    for (0..4) |part| {
        var state: u32 = @intCast(part);
        for (0..25_000) |_| {
            state = state *% 1_664_525 +% 1_013_904_223;
            try all.append(allocator, state);
        }
    }
    std.mem.sort(u32, all.items, {}, std.sort.asc(u32));
    var hash: u32 = 0;
    for (all.items) |number| hash = hash *% 31 +% number;
    return hash;
}

pub fn main(init: std.process.Init) !void {
    const io = init.io;
    const allocator = init.arena.allocator();
    var buffer: [1024]u8 = undefined;
    var stdout: Io.File.Writer = .init(.stdout(), io, &buffer);
    const out = &stdout.interface;

    const args = try init.minimal.args.toSlice(allocator);
    try out.print("arguments: {s}\n", .{try std.mem.join(allocator, "|", args[1..])});
    var variables: std.ArrayList([]const u8) = .empty;
    for (init.environ_map.keys(), init.environ_map.values()) |name, value| {
        try variables.append(allocator, try std.fmt.allocPrint(allocator, "{s}={s}", .{ name, value }));
    }
    std.mem.sort([]const u8, variables.items, {}, byText);
    try out.print("environment: {s}\n", .{try std.mem.join(allocator, " ", variables.items)});
    var input_buffer: [64]u8 = undefined;
    var stdin = Io.File.stdin().readerStreaming(io, &input_buffer);
    const input = try stdin.interface.allocRemaining(allocator, .unlimited);
    try out.print("input: {s}\n", .{input});

    const root = init.preopens.get("/data").?.dir;
    var entries: std.ArrayList([]const u8) = .empty;
    var iterator = root.iterate();
    while (try iterator.next(io)) |entry| try entries.append(allocator, try allocator.dupe(u8, entry.name));
    std.mem.sort([]const u8, entries.items, {}, byText);
    for (entries.items) |name| {
        const status = try root.statFile(io, name, .{ .follow_symlinks = false });
        const kind = switch (status.kind) {
            .sym_link => "symlink",
            .directory => "directory",
            else => "file",
        };
        try out.print("{s} {s}\n", .{ kind, name });
    }
    const deep = try root.readFileAlloc(io, "link/deep", allocator, .unlimited);
    try out.print("through a symlink: {s}\n", .{deep});
    try out.print("missing: {}\n", .{root.openFile(io, "missing", .{}) == error.FileNotFound});
    const is_refused = if (root.openFile(io, "outside/secret", .{})) |_| false else |_| true;
    try out.print("outside: refused {}\n", .{is_refused});
    try out.print("exists: {}\n", .{root.createDir(io, "directory", .default_dir) == error.PathAlreadyExists});

    try root.createDirPath(io, "made/inner");
    {
        const file = try root.createFile(io, "made/inner/lines", .{});
        defer file.close(io);
        var file_buffer: [256]u8 = undefined;
        var writer = file.writer(io, &file_buffer);
        for (0..1000) |number| try writer.interface.print("line {}\n", .{number});
        try writer.interface.flush();
    }
    try root.rename("made/inner/lines", root, "made/lines", io);
    try root.deleteDir(io, "made/inner");
    {
        const file = try root.openFile(io, "made/lines", .{ .mode = .read_write });
        defer file.close(io);
        try file.writePositionalAll(io, "end\n", try file.length(io));
    }
    const text = try root.readFileAlloc(io, "made/lines", allocator, .unlimited);
    const size = (try root.statFile(io, "made/lines", .{})).size;
    try out.print("lines: {} bytes: {}\n", .{ std.mem.count(u8, text, "\n"), size });
    {
        const file = try root.openFile(io, "made/lines", .{ .mode = .read_write });
        defer file.close(io);
        try file.setLength(io, 7);
    }

    try out.print("numbers: {}\n", .{try numbers(allocator)});
    const start = Io.Clock.awake.now(io);
    try io.sleep(.fromMilliseconds(1), .awake);
    try out.print("slept: {}\n", .{start.durationTo(Io.Clock.awake.now(io)).nanoseconds >= 1_000_000});
    var random = std.mem.zeroes([32]u8);
    io.random(&random);
    try out.print("random: {}\n", .{!std.mem.allEqual(u8, &random, 0)});
    try out.flush();
    std.debug.print("to standard error\n", .{});
    std.process.exit(7);
}
