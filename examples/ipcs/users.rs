//! Names of users, from `/etc/passwd` alone: users from LDAP and the like appear as numbers.

/// The lines of `/etc/passwd`, as names and numbers.
#[derive(Debug)]
pub(crate) struct Users(Vec<(String, u32)>);

impl Users {
    /// Without the file all users are numbers, which is no reason not to show anything.
    pub(crate) fn read() -> Self {
        let text = std::fs::read("/etc/passwd").unwrap_or_default();
        let users = String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| {
                // name:password:uid:..., passwd(5)
                let mut fields = line.split(':');
                let name = fields.next()?;
                let uid = fields.nth(1)?.parse().ok()?;
                Some((name.to_owned(), uid))
            })
            .collect();
        Self(users)
    }

    /// The first name that has this number, or the number.
    pub(crate) fn name(&self, uid: u32) -> String {
        let user = self.0.iter().find(|user| user.1 == uid);
        user.map_or_else(|| uid.to_string(), |user| user.0.clone())
    }

    /// The number that has this name, or that is written there.
    pub(crate) fn uid(&self, text: &str) -> Option<u32> {
        let user = self.0.iter().find(|user| user.0 == text);
        user.map(|user| user.1).or_else(|| text.parse().ok())
    }
}
