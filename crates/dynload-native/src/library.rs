//! An open shared library.

use std::ffi::c_void;
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::error::Error;
use crate::flags::Flags;
use crate::image::{Image, Unload};
use crate::inspect;
use crate::name::loader_token;
use crate::os;
use crate::staging::StagedFile;
use crate::symbol::{Symbol, SymbolName};

/// An open shared library.
///
/// A clone is another owner of the same open library, and so is every [`Symbol`]. Libraries may be used from any
/// thread, symbols if their type may.
///
/// When the last owner is dropped, the library is *detached*: it is no longer open through this crate, but its image is
/// not unmapped and stays in memory. Unmapping is what makes `dlclose` dangerous: the library's code may still be
/// running on some thread, and its thread-local values may have destructors that have yet to run.
/// [`detached_images`](crate::detached_images) lists these images. [`Library::unload`] unmaps the library instead.
///
/// A clone of the library of a [`Module`](crate::Module) keeps the image in memory, but not the plugin started: see
/// [`Symbol`].
#[derive(Clone)]
pub struct Library {
    image: Arc<Image>,
}

impl Library {
    /// Opens the library at a path.
    ///
    /// The headers are read first ([`inspect`]): a file that is truncated, built for another machine, or not a
    /// library is refused before the platform's loader sees it. A relative path is resolved from the current
    /// directory, never from the library search path; for that, use [`open_by_name`](Library::open_by_name).
    ///
    /// The loader maps the file itself. If the file may be overwritten while it is open, use
    /// [`Module`](crate::Module).
    ///
    /// # Safety
    ///
    /// Opening runs the library's constructors, and the end of the process (or an unload) runs its destructors. They
    /// are foreign code: the caller promises that it is sound to run the constructors now, on this thread, and the
    /// destructors then. The file must not be changed in place while it is open.
    ///
    /// # Errors
    ///
    /// - [`Error::Name`] when the path is empty, or contains a NUL or a token that the loader replaces, such as
    ///   `$ORIGIN`.
    /// - [`Error::Header`] when the file's headers say that it cannot be loaded here, or it cannot be read.
    /// - [`Error::NoExec`] when its file system is mounted `noexec`.
    /// - [`Error::Open`] when the platform's loader refuses it.
    pub unsafe fn open(path: impl AsRef<Path>, flags: Flags) -> Result<Library, Error> {
        let asked = path.as_ref();
        let path = absolute(asked)?;
        inspect::inspect(&path).map_err(|source| Error::Header {
            path: asked.to_owned(),
            source,
        })?;
        // SAFETY: the caller answers for the constructors and destructors.
        unsafe { Library::open_checked(asked.to_owned(), path, None, flags) }
    }

    /// Opens a library by its name on the platform's search path, as in `libz.so.1`.
    ///
    /// See dlopen(3) for the search path. Only the loader knows which file it will find, so the headers are not checked
    /// beforehand.
    ///
    /// # Safety
    ///
    /// As for [`Library::open`], for the library that is found.
    ///
    /// # Errors
    ///
    /// - [`Error::Name`] when the name is empty, or contains a separator or a NUL.
    /// - [`Error::Open`] when it is not found, or the platform's loader refuses it.
    pub unsafe fn open_by_name(name: &str, flags: Flags) -> Result<Library, Error> {
        let wrong = |problem| Error::Name {
            name: name.to_owned(),
            problem,
        };
        if name.is_empty() {
            return Err(wrong("the name is empty"));
        }
        if name.contains('\0') {
            return Err(wrong("the name contains a NUL"));
        }
        if name.chars().any(std::path::is_separator) {
            return Err(wrong("this is a path, not a name: open it by path"));
        }
        // SAFETY: the caller answers for the constructors and destructors.
        unsafe { Library::open_checked(name.into(), name.into(), None, flags) }
    }

    /// Opens the running program itself, with the libraries that it was linked with and those that were opened with
    /// [`Flags::GLOBAL`] (on Windows: the program alone).
    ///
    /// # Errors
    ///
    /// - [`Error::Open`] when the platform does not support this.
    pub fn this_process() -> Result<Library, Error> {
        let handle = os::this_process().map_err(|source| Error::Open {
            path: std::env::current_exe().unwrap_or_default(),
            missing: None,
            source,
        })?;
        Ok(Library {
            image: Arc::new(Image::of_process(handle)),
        })
    }

    /// Opens `mapped`, whose headers are known to be good.
    ///
    /// # Safety
    ///
    /// As for [`Library::open`].
    pub(crate) unsafe fn open_checked(
        path: PathBuf,
        mapped: PathBuf,
        staged: Option<StagedFile>,
        flags: Flags,
    ) -> Result<Library, Error> {
        // A name without a separator is searched for as it is.
        if mapped.is_absolute()
            && let Some(token) = loader_token(&mapped)
        {
            return Err(Error::Name {
                name: mapped.to_string_lossy().into_owned(),
                problem: match token {
                    "$ORIGIN" => "the loader replaces `$ORIGIN` in it: rename the file or its directory",
                    "$LIB" => "the loader replaces `$LIB` in it: rename the file or its directory",
                    _ => "the loader replaces `$PLATFORM` in it: rename the file or its directory",
                },
            });
        }
        // SAFETY: the caller answers for the constructors and destructors.
        match unsafe { os::open(&mapped, flags) } {
            Ok(handle) => Ok(Library {
                image: Arc::new(Image::of_library(handle, path, mapped, staged)),
            }),
            Err(source) => Err(match os::no_exec(&mapped) {
                Some(directory) => Error::NoExec {
                    path,
                    directory,
                    source,
                },
                None => Error::Open {
                    missing: source.missing_dependency(&mapped),
                    path,
                    source,
                },
            }),
        }
    }

    /// Returns a symbol that the library defines, as a function or a pointer of the type `T`.
    ///
    /// `T` must have the size of a pointer, or this does not compile:
    ///
    /// # Examples
    ///
    /// ```compile_fail
    /// # let library = dynload_native::Library::this_process().unwrap();
    /// let _ = unsafe { library.symbol::<u8>("abs") };
    /// ```
    ///
    /// # Safety
    ///
    /// The symbol has type `T`. For a function, `T` has the same parameters, result and calling convention; for a
    /// variable, `T` is a pointer to its type.
    ///
    /// # Errors
    ///
    /// - [`Error::Symbol`] when the library does not define the symbol, or the name contains a NUL.
    /// - [`Error::NullSymbol`] when its address is null.
    pub unsafe fn symbol<T: Copy>(&self, name: impl SymbolName) -> Result<Symbol<T>, Error> {
        // SAFETY: the caller's promise.
        Ok(unsafe { self.typed(self.address(name)?) })
    }

    /// Returns a symbol that the library or one that it needs defines, in the order in which `dlsym` searches them.
    ///
    /// It keeps this library in memory, and so those that it needs.
    ///
    /// # Safety
    ///
    /// As for [`Library::symbol`].
    ///
    /// # Errors
    ///
    /// As for [`Library::address_in_scope`].
    pub unsafe fn symbol_in_scope<T: Copy>(&self, name: impl SymbolName) -> Result<Symbol<T>, Error> {
        // SAFETY: the caller's promise.
        Ok(unsafe { self.typed(self.address_in_scope(name)?) })
    }

    /// # Safety
    ///
    /// As for [`Library::symbol`].
    unsafe fn typed<T: Copy>(&self, address: NonNull<c_void>) -> Symbol<T> {
        const {
            assert!(
                size_of::<T>() == size_of::<*mut c_void>(),
                "`T` must have the size of a pointer"
            )
        };
        let address = address.as_ptr();
        // SAFETY: `T` has the size of a pointer (asserted above), and the caller promises that the symbol is a `T`.
        let value = unsafe { std::mem::transmute_copy::<*mut c_void, T>(&address) };
        Symbol::new(value, self.clone())
    }

    /// Returns the address of a symbol that the library defines.
    ///
    /// A symbol of a library that this one needs does not count: with a bare `dlsym`, the lookup of `open` succeeds for
    /// every library that needs the C library. For those, see [`address_in_scope`](Library::address_in_scope). For
    /// [`this_process`](Library::this_process), everything that it is linked with counts.
    ///
    /// Obtaining an address is safe; using it is not, and it does not keep the library in memory.
    ///
    /// A successful lookup does not allocate, unless the name has 128 bytes or more, or the symbol is not at an address
    /// of the library's image, as a thread-local variable: then the symbol table of the file is searched.
    ///
    /// # Errors
    ///
    /// As for [`Library::symbol`].
    pub fn address(&self, name: impl SymbolName) -> Result<NonNull<c_void>, Error> {
        let address = self.address_in_scope(&name)?;
        if self.image.contains(address.as_ptr() as usize) || self.image.defines(name.bytes()) {
            return Ok(address);
        }
        Err(Error::Symbol {
            path: self.path().to_owned(),
            name: String::from_utf8_lossy(name.bytes()).into_owned(),
            source: crate::LoaderError::new("only a library that it needs defines it"),
        })
    }

    /// Returns the address of a symbol that the library or one that it needs defines, in the order in which `dlsym`
    /// searches them. On macOS and Windows, only those that the library defines are found.
    ///
    /// # Errors
    ///
    /// - [`Error::Symbol`] when the symbol does not exist, or the name contains a NUL.
    /// - [`Error::NullSymbol`] when its address is null.
    pub fn address_in_scope(&self, name: impl SymbolName) -> Result<NonNull<c_void>, Error> {
        let found = name.with_c_str(|name| name.map(|name| os::address(self.image.handle(), name)));
        match found.map(|found| found.map(NonNull::new)) {
            Some(Ok(Some(address))) => Ok(address),
            failed => Err(self.no_address(name.bytes(), failed.map(|found| found.map(drop)))),
        }
    }

    #[cold]
    fn no_address(&self, name: &[u8], failed: Option<Result<(), crate::LoaderError>>) -> Error {
        let path = self.path().to_owned();
        let name = String::from_utf8_lossy(name).into_owned();
        match failed {
            Some(Ok(())) => Error::NullSymbol { path, name },
            Some(Err(source)) => Error::Symbol { path, name, source },
            None => Error::Symbol {
                path,
                name,
                source: crate::LoaderError::new("the name contains a NUL"),
            },
        }
    }

    /// Returns the platform's own handle: the result of `dlopen` (on Windows: the `HMODULE`).
    ///
    /// It is valid for `dlsym` while this library is open. It belongs to this library and must not be closed.
    pub fn raw_handle(&self) -> *mut c_void {
        self.image.handle().as_ptr()
    }

    /// Returns the path or name with which the library was opened.
    pub fn path(&self) -> &Path {
        self.image.path()
    }

    /// Returns the file that the loader has mapped: for a library that was staged, the copy.
    pub fn mapped_path(&self) -> &Path {
        self.image.mapped_path()
    }

    /// Unmaps the library: immediately when this is its last owner, otherwise when the last owner is dropped
    /// ([`Unload::Pending`]).
    ///
    /// # Safety
    ///
    /// From the moment when the last owner is dropped, nothing may refer to the image any more: no thread runs its
    /// code or will return into it, none of its callbacks, signal handlers or `atexit` handlers is registered, no
    /// address that was obtained from it is used, and no value from it (with a vtable, a destructor or a `'static`
    /// reference into it) is alive. Its destructors run, and are foreign code.
    ///
    /// # Errors
    ///
    /// - [`Error::Close`] when the platform's loader reports a failure.
    pub unsafe fn unload(self) -> Result<Unload, Error> {
        // SAFETY: the image requires the same promise as this function.
        unsafe { self.image.unmap_when_dropped() };
        match Arc::into_inner(self.image) {
            // SAFETY: likewise.
            Some(image) => unsafe { image.close() },
            None => Ok(Unload::Pending),
        }
    }

    /// Notes that the module whose version this is has another one now, or none.
    pub(crate) fn set_former(&self) {
        self.image.set_former();
    }

    /// Makes dropping the last owner unmap the library.
    ///
    /// # Safety
    ///
    /// As for [`Library::unload`].
    pub(crate) unsafe fn unmap_when_dropped(&self) {
        // SAFETY: the image requires the same promise as this function.
        unsafe { self.image.unmap_when_dropped() };
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("path", &self.path())
            .field("handle", &self.raw_handle())
            .finish()
    }
}

/// Returns the path as an absolute one, so that no search path and no later change of directory leads to another file.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let wrong = |problem| Error::Name {
        name: path.to_string_lossy().into_owned(),
        problem,
    };
    if path.as_os_str().is_empty() {
        return Err(wrong("the path is empty"));
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(wrong("the path contains a NUL"));
    }
    std::path::absolute(path).map_err(|_| wrong("the current directory cannot be read: use an absolute path"))
}
