//! Parts of the library's messages: numbers, names, and the text without its source locations.

/// Returns the text between two markers, the first occurrence of each.
pub(super) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// Returns the digits that follow a marker.
pub(super) fn number_after<'a>(text: &'a str, marker: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(marker)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end).filter(|digits| !digits.is_empty())
}

/// Returns a message without the file's path in front, source locations, failed conditions, line
/// breaks and the period at its end.
pub(super) fn shorten(message: &str) -> String {
    let mut text = message;
    if text.starts_with("Load model from ")
        && let Some((_, rest)) = text.split_once(" failed:")
    {
        text = rest;
    }
    let text = after_location(text);
    let text = match text.split_once(" was false. ") {
        Some((_, rest)) if !rest.trim().is_empty() => rest,
        _ => text,
    };
    let text = text.split(" If you need support create a github issue").next().unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches('.').to_owned()
}

/// Returns the text after a source location, "/path/file.cc:12 type name(arguments) text" or
/// "file.cc:12 name text"; all of it if there is none.
fn after_location(text: &str) -> &str {
    let Some((location, rest)) = text.trim_start().split_once(' ') else { return text };
    let Some((file, line)) = location.rsplit_once(':') else { return text };
    let is_source = [".cc", ".h", ".hpp", ".cpp"].iter().any(|end| file.ends_with(end));
    if !is_source || !line.bytes().all(|byte| byte.is_ascii_digit()) {
        return text;
    }
    if file.starts_with('/') {
        return after_function(rest).unwrap_or(rest);
    }
    rest.split_once(' ').map_or(rest, |(_, text)| text)
}

/// Returns the text after a C++ function with its arguments.
fn after_function(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    let mut has_arguments = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && has_arguments => {
                let rest = text.get(at..)?.trim_start();
                let rest = rest.strip_prefix("const ").unwrap_or(rest);
                return Some(match rest.strip_prefix("[with ") {
                    Some(types) => types.split_once(']').map_or(rest, |(_, text)| text),
                    None => rest,
                });
            }
            _ => {}
        }
        has_arguments |= letter == '(';
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_locations_are_removed() {
        for (message, short) in [
            (
                "element_wise_ops.cc:692 Compute Integer division by zero",
                "Integer division by zero",
            ),
            (
                "/onnxruntime_src/a/deep_cpu_gru.h:56 onnxruntime::DeepCpuGruOp::DeepCpuGruOp(const \
                 onnxruntime::OpKernelInfo&) layout_ == 0 was false. Layout 1 is not supported. If \
                 you need support create a github issue with justification.\n",
                "Layout 1 is not supported",
            ),
            (
                "/onnxruntime_src/b.cc:133 onnxruntime::Status onnxruntime::F<T>::operator()(int, \
                 float) [with T = float; int64_t = long int] Bad window",
                "Bad window",
            ),
            ("/onnxruntime_src/c.cc:1 void g(int) const Bad\n  shape.", "Bad shape"),
            ("'axes' has duplicates", "'axes' has duplicates"),
            ("a plain message: with a colon", "a plain message: with a colon"),
        ] {
            assert_eq!(shorten(message), short);
        }
    }

    #[test]
    fn condition_without_a_reason_is_kept() {
        assert_eq!(shorten("/s/a.cc:1 void f(int) x == 1 was false. \n"), "x == 1 was false");
    }

    #[test]
    fn numbers_end_at_the_first_other_letter() {
        assert_eq!(number_after("IR version: 14, max", "version: "), Some("14"));
        assert_eq!(number_after("IR version: x", "version: "), None);
    }
}
