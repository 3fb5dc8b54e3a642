;; Sums squares that a GPU computes: the first 1000 of them, or as many of those as it is told to.
(module
    (import "dynload" "gpu_kernel" (func $gpu_kernel (param i32 i32) (result i32)))
    (import "dynload" "gpu_buffer" (func $gpu_buffer (param i32 i64 i32 i32) (result i32)))
    (import "dynload" "gpu_submit" (func $gpu_submit (param i32 i32 i32) (result i32)))
    (import "dynload" "gpu_read" (func $gpu_read (param i32 i64 i32 i32) (result i32)))
    (memory (export "memory") 1)

    ;; struct dynload_gpu_shader: the source, the entry point, room for a message
    (data (i32.const 0) "\00\04\00\00" "\dc\00\00\00" "\80\00\00\00" "\04\00\00\00" "\00\08\00\00" "\00\02\00\00")
    ;; struct dynload_gpu_dispatch: 16 workgroups, and one binding
    (data (i32.const 64) "\00\00\00\00" "\10\00\00\00" "\01\00\00\00" "\01\00\00\00" "\60\00\00\00" "\01\00\00\00")
    ;; struct dynload_gpu_binding: the whole buffer of 4000 bytes
    (data (i32.const 96) "\00\00\00\00" "\00\00\00\00" "\00\00\00\00\00\00\00\00" "\a0\0f\00\00\00\00\00\00")
    (data (i32.const 128) "main")
    (data (i32.const 1024)
        "@group(0) @binding(0) var<storage, read_write> a: array<u32>;\n"
        "@compute @workgroup_size(64)\n"
        "fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n"
        "    if (id.x < arrayLength(&a)) {\n"
        "        a[id.x] = id.x * id.x;\n"
        "    }\n"
        "}\n")

    ;; Returns the sum, or minus the errno of the function that failed.
    (func (export "squares") (param $count i64) (result i64) (local $errno i32) (local $at i32) (local $sum i64)
        (if (local.tee $errno (call $gpu_kernel (i32.const 0) (i32.const 0)))
            (then (return (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $errno))))))
        (if (local.tee $errno (call $gpu_buffer (i32.const 0) (i64.const 4000) (i32.const 1) (i32.const 100)))
            (then (return (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $errno))))))
        (i32.store (i32.const 64) (i32.load (i32.const 24)))
        (if (local.tee $errno (call $gpu_submit (i32.const 0) (i32.const 64) (i32.const 1)))
            (then (return (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $errno))))))
        (if (local.tee $errno (call $gpu_read (i32.load (i32.const 100)) (i64.const 0) (i32.const 4096) (i32.const 4000)))
            (then (return (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $errno))))))
        (loop $next
            (local.set $sum (i64.add (local.get $sum)
                (i64.extend_i32_u (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $at) (i32.const 2)))))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i64.lt_s (i64.extend_i32_u (local.get $at)) (local.get $count))))
        (local.get $sum)))
