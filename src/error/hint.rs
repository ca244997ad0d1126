//! What to do about an error: the numbers as they were when it happened, turned into words only when printed.

use super::object::{Facts, Object};
use std::fmt::{self, Formatter};

/// The advice that ends an error's message. A plain value: making one allocates nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hint {
    /// Nothing useful is known.
    None,
    /// Advice that needs no numbers.
    Text(&'static str),
    /// Numbers, and how to say them.
    Numbers([u64; 4], fn(&mut Formatter<'_>, [u64; 4]) -> fmt::Result),
    /// Advice about a kind of object, with the limit on their number and how many there are.
    Kind(
        Object,
        [u64; 2],
        fn(&mut Formatter<'_>, Object, [u64; 2]) -> fmt::Result,
    ),
    /// What stood in the way and what was asked of it.
    About(
        Facts,
        u64,
        fn(&mut Formatter<'_>, &Facts, u64) -> fmt::Result,
    ),
    /// What stood in the way, and which bits of its mode the call needs.
    Denied(Facts, &'static str),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if matches!(self, Self::None) {
            return Ok(());
        }
        f.write_str("; ")?;
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Numbers(numbers, say) => say(f, *numbers),
            Self::Kind(object, numbers, say) => say(f, *object, *numbers),
            Self::About(facts, asked, say) => say(f, facts, *asked),
            Self::Denied(facts, advice) => {
                let Facts { mode, uid, gid, .. } = facts;
                let (creator, euid) = (facts.creator_uid, facts.euid);
                write!(
                    f,
                    "{facts} has mode {mode:04o} and belongs to uid {uid} gid {gid} (creator uid {creator}), this process has uid {euid}; {advice}"
                )
            }
        }
    }
}

/// Advice that all kinds of objects share.
impl Hint {
    /// No object has the key.
    pub(super) fn not_found(object: Object) -> Self {
        Self::Kind(object, [0; 2], |f, object, _| {
            let short = object.table().short;
            write!(
                f,
                "start the program that creates the {short} first, or create it here; both sides must use the same key (an ftok key changes when its file is replaced) and the same IPC namespace (containers have their own)"
            )
        })
    }

    /// To find something without a name.
    pub(crate) fn private_key(object: Object) -> Self {
        Self::Kind(object, [0; 2], |f, object, _| {
            let short = object.table().short;
            write!(
                f,
                "with IPC_PRIVATE the kernel would create a new {short}; pass the identifier of the existing one"
            )
        })
    }

    /// The identifier names nothing any more.
    pub(super) fn gone(object: Object) -> Self {
        Self::Kind(object, [0; 2], |f, object, _| {
            let short = object.table().short;
            write!(
                f,
                "the {short} was removed, or the id belongs to another IPC namespace; look the id up again by key"
            )
        })
    }

    /// The key belongs to another object.
    pub(super) fn exists(facts: Facts) -> Self {
        Self::About(facts, 0, |f, facts, _| {
            let table = facts.object.table();
            write!(
                f,
                "{facts} has it: {} {}, created by ",
                facts.amount, table.unit
            )?;
            // 0 where the creator has no number in this pid namespace.
            if facts.creator_pid != 0 {
                write!(f, "pid {} of ", facts.creator_pid)?;
            }
            write!(f, "uid {}", facts.creator_uid)?;
            if facts.object == Object::Segment {
                write!(f, ", {} attached", facts.attached)?;
            }
            let (option, id) = (table.option, facts.id);
            write!(
                f,
                "; open it, choose another key, or remove it with `ipcrm {option} {id}` if no program needs it"
            )
        })
    }

    /// Who may do what, where that can be seen; the advice alone where not.
    pub(super) fn denied(facts: Option<Facts>, advice: &'static str) -> Self {
        facts.map_or(Self::Text(advice), |facts| Self::Denied(facts, advice))
    }

    /// Only owner and creator may.
    pub(super) fn not_owner(facts: Facts) -> Self {
        Self::About(facts, 0, |f, facts, _| {
            let (uid, creator, euid) = (facts.uid, facts.creator_uid, facts.euid);
            write!(
                f,
                "{facts} belongs to uid {uid} (creator uid {creator}), this process has uid {euid}"
            )
        })
    }

    /// Another user created what the key leads to.
    pub(crate) fn foreign(object: Object, id: i32) -> Self {
        object.by_id(id).map_or(Self::None, |facts| {
            Self::About(facts, 0, |f, facts, _| {
                let (creator, euid) = (facts.creator_uid, facts.euid);
                let stake = facts.object.table().stake;
                write!(
                    f,
                    "{facts} was made by uid {creator}, this process has uid {euid}: the first to take a key decides {stake}; pass any_owner(true) if that is welcome"
                )
            })
        })
    }

    /// The existing object is smaller than asked.
    pub(super) fn smaller(facts: Facts, asked: u64) -> Self {
        Self::About(facts, asked, |f, facts, asked| {
            let (amount, unit) = (facts.amount, facts.object.table().unit);
            write!(
                f,
                "{facts} has {amount} {unit}, {asked} were asked for; ask for 0 to take it as it is, or remove it and create it larger"
            )
        })
    }

    /// An object found by its identifier is smaller than asked.
    pub(crate) fn too_small(object: Object, id: i32, asked: usize) -> Self {
        let asked = u64::try_from(asked).unwrap_or(u64::MAX);
        let facts = object.by_id(id);
        facts.map_or(Self::None, |facts| Self::smaller(facts, asked))
    }

    /// What the calling thread would have removed may be in another IPC namespace.
    pub(crate) fn out_of_reach(object: Object) -> Self {
        Self::Kind(object, [0; 2], |f, object, _| {
            let (short, option) = (object.table().short, object.table().option);
            write!(
                f,
                "the calling thread seems to be in another IPC namespace than the {short}, which stays; drop it in a thread of its own namespace, or remove it there (`ipcrm {option}`)"
            )
        })
    }

    /// As many objects exist as may.
    pub(super) fn full(object: Object, numbers: [u64; 2]) -> Self {
        Self::Kind(object, numbers, |f, object, [max, used]| {
            let (short, limit) = (object.table().short, object.table().limit);
            write!(
                f,
                "{used} {short}s exist and {max} are allowed ({limit}); {}",
                object.table().make_room
            )
        })
    }
}
