//! The shared library `libdynload`: the flat functions under their names, and the `vais_*` primitives, which `dynload-ffi`
//! names itself. See `dynload.h`.

macro_rules! export {
    ($($name:ident)*) => {
        $(
            /// See `dynload.h`.
            // Not `unsafe` to declare: nobody calls it from Rust, and what it jumps to has the real type.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() {
                core::arch::naked_asm!(dynload_ffi::jump_to_target!(), target = sym dynload_ffi::flat::$name)
            }
        )*
    };
}

dynload_ffi::flat_names!(export);
