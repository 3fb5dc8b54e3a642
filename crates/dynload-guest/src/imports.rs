//! The imports of the module `vais`.
#![allow(unsafe_code)]

/// Declares the imports. On a target without them, each is a function that panics.
macro_rules! imports {
    ($($(#[$attribute:meta])* fn $name:ident($($parameter:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        #[cfg(target_family = "wasm")]
        #[link(wasm_import_module = "vais")]
        unsafe extern "C" {
            $($(#[$attribute])* pub(crate) unsafe fn $name($($parameter: $type),*) $(-> $result)?;)*
        }
        $(
            $(#[$attribute])*
            #[cfg(not(target_family = "wasm"))]
            pub(crate) unsafe fn $name($(_: $type),*) $(-> $result)? {
                panic!(concat!("`vais.", stringify!($name), "` exists only for WebAssembly"))
            }
        )*
    };
}

imports! {
    #[cfg(feature = "alloc")]
    fn read_args(to: *mut u8);
    #[cfg(feature = "alloc")]
    fn set_result(from: *const u8, len: usize);
    #[cfg(feature = "alloc")]
    fn config_get(name: *const u8, name_len: usize, to: *mut u8, room: usize) -> i32;
    fn print(text: *const u8, len: usize);
    fn println(text: *const u8, len: usize);
    fn log(level: i32, text: *const u8, len: usize);
    fn now_ms() -> i64;
    fn sleep_ms(ms: i64);
    fn random() -> i64;
    fn random_range(min: i64, max: i64) -> i64;
}
