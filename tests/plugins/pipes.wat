;; Writes to a named pipe whose reader opens and closes it repeatedly, and to the console.
(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
    (import "vais" "print" (func $print (param i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\00\04\00\00\10\00\00\00") (data (i32.const 16) "pipe")
    ;; Opens the pipe and writes to it until a write fails. Returns the errno, negated if it is that of opening.
    (func (export "write") (result i64) (local $errno i32)
        (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0)
            (i64.const 64) (i64.const 0) (i32.const 4) (i32.const 24)))
        (if (local.get $errno) (then (return (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $errno))))))
        (loop $more
            (local.set $errno (call $write (i32.load (i32.const 24)) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $more (i32.eqz (local.get $errno))))
        (drop (call $close (i32.load (i32.const 24))))
        (i64.extend_i32_u (local.get $errno)))
    (func (export "print") (result i64) (call $print (i32.const 1024) (i32.const 100)) (i64.const 0))
    (func (export "out") (param $fd i64) (result i64)
        (i64.extend_i32_u (call $write (i32.wrap_i64 (local.get $fd)) (i32.const 0) (i32.const 1) (i32.const 8)))))
