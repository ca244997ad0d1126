//! Whether mistakes would be found: each is made on purpose, and the measurement must fail.

use crate::case::{Case, Fault, Workload};
use crate::groups::every_way;
use crate::peers;
use crate::runner::measure;
use anyhow::{Result, ensure};
use std::time::Duration;

/// Enough for a measurement of a few thousand items on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// For one that will never end because its last item is missing.
const SHORT_TIME_LIMIT: Duration = Duration::from_secs(1);
const COUNT: u64 = 3000;

pub fn check() -> Result<()> {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for case in every_way() {
        let driver = &peers::find(&case.contender)
            .expect("one of the table")
            .driver;
        if let Some(why) = driver.obstacle(&case) {
            println!("skipped {case:?}: {why}");
            skipped += 1;
            continue;
        }
        let mut check = |fault: Option<Fault>, time_limit, expected: &str| {
            let case = Case {
                fault,
                ..case.clone()
            };
            let count = match case.workload {
                // In milliseconds.
                Workload::Share => 50,
                // Fillings of the whole channel.
                Workload::Alternate => 3,
                _ => COUNT,
            };
            let found = match measure(&case, count, time_limit) {
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
        check(None, TIME_LIMIT, "");
        check(
            Some(Fault::Torn),
            TIME_LIMIT,
            "was expected and did not come",
        );
        if case.workload != Workload::Stream {
            continue;
        }
        let many = case.senders > 1;
        // Of several receivers none can know that an item is missing: then one waits without end.
        let lost = if many {
            "no end after"
        } else {
            "was expected and did not come"
        };
        check(
            Some(Fault::Lost),
            if many { SHORT_TIME_LIMIT } else { TIME_LIMIT },
            lost,
        );
        check(Some(Fault::LastLost), SHORT_TIME_LIMIT, "no end after");
        // A doubled item that another receiver got shows in the sum.
        check(
            Some(Fault::Doubled),
            TIME_LIMIT,
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
