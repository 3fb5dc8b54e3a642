//! The static library `libdynload`: the flat functions under weak names, so that a program may define them itself,
//! and the `vais_*` primitives, whose names `dynload-ffi` exports itself. See `dynload.h`.

#[cfg(not(any(windows, target_vendor = "apple")))]
macro_rules! export {
    ($($name:ident)*) => {
        $(
            core::arch::global_asm!(
                concat!(".pushsection .text.", stringify!($name), ",\"ax\",@progbits"),
                concat!(".weak ", stringify!($name)),
                concat!(".type ", stringify!($name), ",@function"),
                concat!(stringify!($name), ":"),
                dynload_ffi::jump_to_target!(),
                concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
                ".popsection",
                target = sym dynload_ffi::flat::$name,
            );
        )*
    };
}

#[cfg(target_vendor = "apple")]
macro_rules! export {
    ($($name:ident)*) => {
        $(
            core::arch::global_asm!(
                concat!(".globl _", stringify!($name)),
                concat!(".weak_definition _", stringify!($name)),
                concat!("_", stringify!($name), ":"),
                dynload_ffi::jump_to_target!(),
                target = sym dynload_ffi::flat::$name,
            );
        )*
    };
}

// Without weak names: a program that defines one of these functions itself cannot be linked against this library.
#[cfg(windows)]
macro_rules! export {
    ($($name:ident)*) => {
        $(
            core::arch::global_asm!(
                concat!(".globl ", stringify!($name)),
                concat!(stringify!($name), ":"),
                dynload_ffi::jump_to_target!(),
                target = sym dynload_ffi::flat::$name,
            );
        )*
    };
}

dynload_ffi::flat_names!(export);
