//! The settings that a host passes to a plugin when it loads it.

use std::ffi::c_char;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::descriptor::{CONFIGURE_SYMBOL, Configure, TakePanic};
use crate::error::Error;
use crate::generation::take_message;
use crate::library::Library;

/// The names and values, in the order in which the plugin receives them.
#[derive(Clone, Default)]
pub(crate) struct Settings(Arc<[(Text, Text)]>);

/// A text followed by a NUL, which does not count.
struct Text(Vec<u8>);

impl Text {
    fn new(text: impl Into<String>) -> Text {
        let mut bytes = text.into().into_bytes();
        bytes.push(0);
        Text(bytes)
    }

    fn parts(&self) -> (*const c_char, usize) {
        (self.0.as_ptr().cast(), self.0.len() - 1)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0[..self.0.len() - 1]).into_owned()
    }
}

impl Settings {
    pub(crate) fn new(
        settings: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Settings {
        let texts = settings
            .into_iter()
            .map(|(name, value)| (Text::new(name), Text::new(value)));
        Settings(texts.collect())
    }

    /// Passes the settings to a library that was just opened.
    ///
    /// # Safety
    ///
    /// It is sound to run the library's `dynload_plugin_configure`, if it has one, which has the type [`Configure`].
    pub(crate) unsafe fn pass(
        &self,
        library: &Library,
        source: &Path,
        take_panic: Option<TakePanic>,
    ) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        // SAFETY: the caller promises the type.
        let configure = unsafe { library.symbol::<Configure>(CONFIGURE_SYMBOL) };
        let Ok(configure) = configure else {
            return Err(Error::NotConfigurable {
                path: source.to_owned(),
            });
        };
        for (name, value) in &*self.0 {
            let ((name_start, name_length), (value_start, value_length)) = (name.parts(), value.parts());
            // SAFETY: the caller answers for the function; the texts have these lengths and are alive during the call.
            let code = unsafe { configure(name_start, name_length, value_start, value_length) };
            if code != 0 {
                return Err(Error::Configure {
                    path: source.to_owned(),
                    name: name.text(),
                    code,
                    // SAFETY: the caller of `Generation::open` promised the type.
                    message: take_panic.and_then(|take| unsafe { take_message(take) }),
                });
            }
        }
        Ok(())
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name.text()))
            .finish()
    }
}
