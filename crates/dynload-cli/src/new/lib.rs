//! Build: {build}

use dynload_guest::export_bytes;

// Returns the text in upper case, or an error if there is none.
export_bytes!(shout, |text: &str| -> Result<String, String> {
    if text.is_empty() {
        return Err("the text is empty".to_owned());
    }
    Ok(text.to_uppercase())
});
