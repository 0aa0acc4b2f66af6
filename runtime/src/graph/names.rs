//! Type names as people say them: without the paths of modules.

/// `alloc::vec::Vec<shop::order::Order>` becomes `Vec<Order>`.
pub(super) fn short(name: &str) -> String {
    let mut short = String::new();
    let mut segment = String::new();
    let mut chars = name.chars().peekable();
    while let Some(char) = chars.next() {
        if char == ':' && chars.peek() == Some(&':') {
            chars.next();
            // What came before was a module, unless it is the end of a qualified type such as `<T as X>::Y`.
            segment.clear();
        } else if char.is_alphanumeric() || char == '_' {
            segment.push(char);
        } else {
            short.push_str(&segment);
            segment.clear();
            short.push(char);
        }
    }
    short + &segment
}
