//! Whether mistakes would be found: each is made on purpose, and the measurement must fail.

use crate::case::{Act, Case, Fault};
use crate::director::measure;
use crate::groups::every_way;
use crate::peers;
use anyhow::{Result, ensure};
use std::time::Duration;

/// Enough for a measurement of a few thousand items on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// For one that will never end because its last item is missing.
const IMPATIENCE: Duration = Duration::from_secs(1);
const COUNT: u64 = 3000;

pub fn check() -> Result<()> {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in every_way() {
        let performer = peers::find(&case.contender)
            .expect("one of the table")
            .performer;
        if let Some(why) = performer.obstacle(&case) {
            println!("skipped {case:?}: {why}");
            skipped += 1;
            continue;
        }
        let mut judge = |fault: Option<Fault>, patience, expected: &str| {
            let case = Case {
                fault,
                ..case.clone()
            };
            let found = match measure(&case, COUNT, patience) {
                Ok(_) => String::new(),
                Err(error) => format!("{error:#}"),
            };
            // Nothing wrong and nothing found, or something wrong and the right thing said.
            if found.is_empty() == fault.is_none() && found.contains(expected) {
                passed += 1;
            } else {
                println!("FAILED {case:?}: expected {expected:?}, found {found:?}");
                failed += 1;
            }
        };
        judge(None, PATIENCE, "");
        if case.act == Act::RoundTrip {
            judge(Some(Fault::Torn), PATIENCE, "was expected and did not come");
            continue;
        }
        let many = case.pairs > 1;
        judge(Some(Fault::Torn), PATIENCE, "was expected and did not come");
        // Of several receivers none can know that an item is missing: then one waits for ever.
        let lost = if many {
            "no end after"
        } else {
            "was expected and did not come"
        };
        judge(
            Some(Fault::Lost),
            if many { IMPATIENCE } else { PATIENCE },
            lost,
        );
        judge(Some(Fault::LastLost), IMPATIENCE, "no end after");
        // A doubled item that another receiver got shows in the sum.
        judge(
            Some(Fault::Doubled),
            PATIENCE,
            if many {
                ""
            } else {
                "was expected and did not come"
            },
        );
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    ensure!(failed == 0 && passed > 0, "the check of the checks failed");
    Ok(())
}
