//! Arguments as the system passes them: bytes, of which only some have to be text.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

/// The arguments that no call has taken yet. Options may stand in any order, `--key 1` or `--key=1`.
///
/// In a program that removes things, a misunderstood option must not be ignored: [`finish`](Self::finish) refuses
/// what is left over, so nothing may be done before it.
#[derive(Debug)]
pub(crate) struct Arguments(Vec<OsString>);

/// A command line that makes no sense.
#[derive(Debug)]
pub(crate) struct Misuse(String);

impl Misuse {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Misuse {}

impl Arguments {
    pub(crate) fn new(arguments: impl Iterator<Item = OsString>) -> Self {
        Self(arguments.collect())
    }

    pub(crate) fn ask_for_help(&self) -> bool {
        self.0.iter().any(|it| it == "--help" || it == "-h")
    }

    /// Takes an option that has no value. Says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() < before
    }

    /// Takes an option and its value, whatever bytes that has.
    pub(crate) fn bytes(&mut self, name: &str) -> Result<Option<OsString>, Misuse> {
        let Some((at, attached)) = self.find(name) else {
            return Ok(None);
        };
        self.0.remove(at);
        let value = match attached {
            Some(value) => value,
            None if at < self.0.len() => self.0.remove(at),
            None => return Err(Misuse(format!("{name} needs a value"))),
        };
        // Given twice it would silently mean one of them.
        match self.find(name) {
            Some(_) => Err(Misuse(format!("{name} is given twice"))),
            None => Ok(Some(value)),
        }
    }

    /// Where an option stands, and the value after its equals sign.
    fn find(&self, name: &str) -> Option<(usize, Option<OsString>)> {
        self.0.iter().enumerate().find_map(|(at, argument)| {
            let rest = argument.as_bytes().strip_prefix(name.as_bytes())?;
            match rest {
                [] => Some((at, None)),
                [b'=', value @ ..] => Some((at, Some(OsString::from_vec(value.to_vec())))),
                _ => None,
            }
        })
    }

    /// Takes an option and its value, which `parse` must make sense of.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Misuse> {
        let Some(value) = self.bytes(name)? else {
            return Ok(None);
        };
        match value.to_str().and_then(parse) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(nonsense(&format!("{name} {}", shown(&value)))),
        }
    }

    /// Takes an option whose value is a number of this kind.
    pub(crate) fn number<T: std::str::FromStr>(&mut self, name: &str) -> Result<Option<T>, Misuse> {
        self.parsed(name, |text| text.parse().ok())
    }

    /// Takes an option whose value is a time in seconds; fractions are fine.
    pub(crate) fn seconds(&mut self, name: &str) -> Result<Option<Duration>, Misuse> {
        self.parsed(name, |text| {
            Duration::try_from_secs_f64(text.parse().ok()?).ok()
        })
    }

    /// Takes the first argument that is no option, whatever bytes it has. To be asked for after the options, whose
    /// values are no options either.
    pub(crate) fn operand(&mut self) -> Option<OsString> {
        let is_operand = |argument: &OsString| argument.as_bytes().first() != Some(&b'-');
        let at = self.0.iter().position(is_operand)?;
        Some(self.0.remove(at))
    }

    /// Takes a number that is no option's value.
    pub(crate) fn number_operand<T: std::str::FromStr>(&mut self) -> Result<Option<T>, Misuse> {
        let Some(operand) = self.operand() else {
            return Ok(None);
        };
        match operand.to_str().and_then(|text| text.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(nonsense(&shown(&operand))),
        }
    }

    /// Refuses what nothing has taken.
    pub(crate) fn finish(self) -> Result<(), Misuse> {
        match self.0.first() {
            None => Ok(()),
            Some(argument) => Err(Misuse(format!("unknown argument {}", shown(argument)))),
        }
    }
}

fn nonsense(what: &str) -> Misuse {
    Misuse(format!("{what} makes no sense"))
}

/// For people: what is no text has replacement characters.
pub(crate) fn shown(argument: &OsStr) -> String {
    Path::new(argument).display().to_string()
}
