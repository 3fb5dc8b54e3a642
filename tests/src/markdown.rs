//! The code in Markdown.

/// Returns the blocks of code in a language, in order.
///
/// # Examples
///
/// ````
/// use dynload_tests::markdown::blocks;
///
/// let page = "Text\n```c\nint x;\n```\n\n```sh\nls\n```\n\n```c\nint y;\n```\n";
/// assert_eq!(blocks(page, "c"), ["int x;\n", "int y;\n"]);
/// ````
#[must_use]
pub fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let blocks = markdown.split(start.as_str()).skip(1);
    blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}
