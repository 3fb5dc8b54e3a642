//! The shared library `libdynload`: the flat functions under their names, and the `vais_*` primitives, whose names
//! `dynload-ffi` exports itself. See `dynload.h`.

macro_rules! export {
    ($($name:ident)*) => {
        $(
            /// See `dynload.h`.
            // The declaration is not `unsafe`: no Rust code calls it, and the jump target has the real type.
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() {
                core::arch::naked_asm!(dynload_ffi::jump_to_target!(), target = sym dynload_ffi::flat::$name)
            }
        )*
    };
}

dynload_ffi::flat_names!(export);
