//! [`Users`]: who knows users' passwords, for the password grant, and [`UserFile`]: those in a file.

use std::{collections::HashMap, fmt, sync::Arc};

use super::secrets;

/// Knows users' passwords. Asked on threads where it may take its time.
pub trait Users: Send + Sync + 'static {
    /// The id of the user with this name and password; `None`: there is none. An unknown name must take as long as a wrong
    /// password.
    ///
    /// # Errors
    ///
    /// When it cannot be told.
    fn user_id(&self, name: &str, password: &str) -> Result<Option<String>, UsersUnavailable>;
}

/// It cannot be told whether there is such a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsersUnavailable;

impl fmt::Display for UsersUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it cannot be told whether there is such a user")
    }
}

impl std::error::Error for UsersUnavailable {}

/// Users and their passwords' hashes, cheap to clone: in the file each is a line `name:$argon2id$...`; a user's id is their name. Empty lines, and such
/// as begin with `#`, are left out.
#[derive(Clone, PartialEq, Eq)]
pub struct UserFile(Arc<HashMap<String, String>>);

impl UserFile {
    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// The first line that is none, counted from 1, and what was expected of it.
    pub fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        let mut users = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line.split_once(':').ok_or((number, "expected a name, `:` and an Argon2id hash"))?;
            if name.is_empty() || name.chars().any(char::is_control) {
                return Err((number, "expected a name before the `:`"));
            }
            if !secrets::is_hash(hash) {
                return Err((number, "expected an Argon2id hash (`$argon2id$v=19$...`) behind the `:`"));
            }
            if users.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err((number, "the name stands in a line before"));
            }
        }
        Ok(Self(Arc::new(users)))
    }
}

impl Users for UserFile {
    fn user_id(&self, name: &str, password: &str) -> Result<Option<String>, UsersUnavailable> {
        let is_right = secrets::matches(self.0.get(name).map(String::as_str), password);
        Ok(is_right.then(|| name.to_owned()))
    }
}

impl fmt::Debug for UserFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserFile({} users)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_those_of_the_file() {
        let hash = secrets::hash("hunter2").unwrap();
        let users = UserFile::parse(&format!("# ours\n\nann:{hash}\n")).unwrap();
        assert_eq!(users.user_id("ann", "hunter2"), Ok(Some("ann".to_owned())));
        for (name, password) in [("ann", "hunter3"), ("ann", ""), ("bob", "hunter2"), ("", "")] {
            assert_eq!(users.user_id(name, password), Ok(None), "{name} {password}");
        }
        assert!(!format!("{users:?}").contains("argon2"));
        for (line, text) in [
            (1, "ann".to_owned()),
            (2, format!("#\n:{hash}")),
            (1, "ann:hunter2".to_owned()),
            (2, format!("ann:{hash}\nann:{hash}")),
            (1, "ann:$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe".to_owned()),
        ] {
            assert_eq!(UserFile::parse(&text).unwrap_err().0, line, "{text}");
        }
    }
}
