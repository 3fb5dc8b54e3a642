//! The plugin of docs/plugins.md in Zig.
//!
//! zig build-exe -target wasm32-freestanding -O ReleaseSmall -fno-entry -rdynamic -femit-bin=text.wasm text.zig

const std = @import("std");

const vais = struct {
    extern "vais" fn read_args(to: [*]u8) void;
    extern "vais" fn set_result(from: [*]const u8, len: usize) void;
    extern "vais" fn config_get(name: [*]const u8, name_len: usize, to: ?[*]u8, room: usize) i32;
};

/// The memory of a call: every call starts with an empty arena.
var arena: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// Returns the arguments, one after the other.
fn arguments(len: usize) ![]u8 {
    _ = arena.reset(.free_all);
    const args = try arena.allocator().alloc(u8, len);
    // The address of an empty slice is not in the memory, which is an error for the host.
    if (len > 0) vais.read_args(args.ptr);
    return args;
}

/// Returns a value of the plugin's configuration.
fn config(name: []const u8) !?[]const u8 {
    const len = vais.config_get(name.ptr, name.len, null, 0);
    if (len < 0) return null;
    const value = try arena.allocator().alloc(u8, @intCast(len));
    if (len > 0) _ = vais.config_get(name.ptr, name.len, value.ptr, value.len);
    return value;
}

/// Sets the result, which is empty otherwise, and returns the status. The text of an error is its name.
fn finish(result: anyerror![]const u8) i32 {
    const text = result catch |err| return fail(@errorName(err));
    if (text.len > 0) vais.set_result(text.ptr, text.len);
    return 0;
}

fn fail(text: []const u8) i32 {
    if (text.len > 0) vais.set_result(text.ptr, text.len);
    return 1;
}

fn concat(parts: []const []const u8) ![]u8 {
    return std.mem.concat(arena.allocator(), u8, parts);
}

/// Upper case, of ASCII letters.
export fn shout(len: usize) i32 {
    const text = arguments(len) catch |err| return finish(err);
    for (text) |*byte| byte.* = std.ascii.toUpper(byte.*);
    return finish(text);
}

/// A greeting, by the plugin's configuration.
export fn greet(len: usize) i32 {
    const name = arguments(len) catch |err| return finish(err);
    const greeting = config("greeting") catch |err| return finish(err);
    return finish(concat(&.{ greeting orelse "Hello", ", ", name, "!" }));
}

/// Always an error.
export fn refuse(len: usize) i32 {
    const text = arguments(len) catch |err| return finish(err);
    return fail(concat(&.{ "cannot accept: ", text }) catch |err| return finish(err));
}

/// Two arguments with a space between them.
export fn join(first_len: usize, second_len: usize) i32 {
    const args = arguments(first_len + second_len) catch |err| return finish(err);
    return finish(concat(&.{ args[0..first_len], " ", args[first_len..] }));
}
