//! Starts the processes of a measurement, watches over them, and collects what they found.

use crate::case::{Case, Endpoint, Outcome, Task, Workload};
use crate::peers;
use crate::pinning::Control;
use crate::workload::{expected_sum, merge};
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The argument that makes this program a process of a measurement.
pub const PARTICIPATE: &str = "--participate";

/// After one process has failed, how long others have to say why they fail.
const AFTERMATH: Duration = Duration::from_millis(50);

/// The processes of one measurement, killed if it goes wrong.
#[derive(Default)]
struct Processes(Vec<(String, Child)>);

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures once. `time_limit` is how long nothing may take.
pub fn measure(case: &Case, count: u64, time_limit: Duration) -> Result<Outcome> {
    let what = || format!("{case:?}, {count} times");
    let measured = try_to_measure(case, count, time_limit).with_context(what);
    if measured.is_err() && case.contender.starts_with("iceoryx2") {
        peers::clean_up_iceoryx2();
    }
    measured
}

fn try_to_measure(case: &Case, count: u64, time_limit: Duration) -> Result<Outcome> {
    let driver = peers::find(&case.contender).map(|contender| &contender.driver);
    let control = Control::create()?;
    let between = driver.is_some_and(|driver| driver.between_processes());
    let channels = match case.workload {
        Workload::RoundTrip if between => 2 * case.senders,
        Workload::Create | Workload::Copy => 0,
        _ => 1,
    };
    let create = |_| {
        driver
            .with_context(|| format!("no contender {:?}", case.contender))?
            .create(case)
    };
    let mut channels = (0..channels).map(create).collect::<Result<Vec<_>>>()?;
    let handles: Vec<_> = channels
        .iter()
        .map(|channel| channel.handle.clone())
        .collect();
    let endpoints = if case.workload.is_alone() || !between {
        vec![None]
    } else {
        let receivers = (0..case.receivers).map(|index| Some(Endpoint::Receiver(index)));
        receivers
            .chain((0..case.senders).map(|index| Some(Endpoint::Sender(index))))
            .collect()
    };
    let mut processes = Processes::default();
    for endpoint in endpoints {
        let task = Task {
            case: case.clone(),
            handles: handles.clone(),
            control: control.id(),
            endpoint,
            count,
        };
        processes.0.push((format!("{endpoint:?}"), start(&task)?));
    }
    let introductions = channels
        .iter_mut()
        .filter_map(|channel| channel.introduce.take());
    for introduce in introductions.collect::<Vec<_>>() {
        // Waits for the processes, so it must not keep this one from watching them.
        std::thread::spawn(introduce);
    }
    let outcomes = processes.outcomes(&control, time_limit)?;
    drop(channels);
    let outcomes = outcomes.into_iter().filter(Outcome::says_something);
    let outcome = merge(case.workload, outcomes.collect()).context("no process found anything")?;
    let several = case.senders > 1 || case.receivers > 1;
    let (sent, sent_sum) = match case.workload {
        Workload::Stream => {
            let sent = count / case.senders as u64 * case.senders as u64;
            let sum = if several {
                expected_sum(case, count)
            } else {
                outcome.sum
            };
            (sent, sum)
        }
        Workload::Share => (outcome.sent, outcome.sent_sum),
        _ => return Ok(outcome),
    };
    ensure!(
        outcome.received == sent,
        "{} items came, {sent} were sent",
        outcome.received
    );
    ensure!(
        outcome.sum == sent_sum,
        "the items that came are not those that were sent"
    );
    Ok(outcome)
}

/// Starts this program as a process of a measurement.
pub fn start(task: &Task) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg(PARTICIPATE)
        .arg(serde_json::to_string(task)?)
        // What went wrong fits in a line.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting a process of the measurement")
}

impl Processes {
    /// Waits for all. The first that fails, or the time limit, fails everything.
    fn outcomes(&mut self, control: &Control, time_limit: Duration) -> Result<Vec<Outcome>> {
        let deadline = Instant::now() + time_limit;
        let mut texts = vec![String::new(); self.0.len()];
        let mut waiting: Vec<usize> = (0..self.0.len()).collect();
        while !waiting.is_empty() {
            let ready = self.wait_for_some(&waiting, deadline)?;
            if ready.is_empty() {
                let missing: Vec<_> = waiting
                    .iter()
                    .map(|&index| self.0[index].0.as_str())
                    .collect();
                let met = control.met();
                bail!(
                    "no end after {time_limit:?}: {} still at work, {met} arrivals at meetings",
                    missing.join(", ")
                );
            }
            for index in ready {
                let (_, child) = &mut self.0[index];
                child
                    .stdout
                    .as_mut()
                    .context("a piped output")?
                    .read_to_string(&mut texts[index])?;
                waiting.retain(|&other| other != index);
                if !child.wait()?.success() {
                    // One endpoint finds a mistake and leaves; the other may complain of that, and be seen first.
                    std::thread::sleep(AFTERMATH);
                    bail!("{}", self.complaints()?.join("; "));
                }
            }
        }
        texts
            .iter()
            .map(|text| serde_json::from_str(text).context("what a process said"))
            .collect()
    }

    /// What those say that have failed by now.
    fn complaints(&mut self) -> Result<Vec<String>> {
        let mut complaints = Vec::new();
        for (endpoint, child) in &mut self.0 {
            if let Some(status) = child.try_wait()?.filter(|status| !status.success()) {
                let mut said = String::new();
                child
                    .stderr
                    .as_mut()
                    .context("a piped output")?
                    .read_to_string(&mut said)?;
                complaints.push(format!("{endpoint}: {status}: {}", said.trim()));
            }
        }
        Ok(complaints)
    }

    /// Which of these have said something or ended; none if the deadline came first.
    fn wait_for_some(&self, waiting: &[usize], deadline: Instant) -> Result<Vec<usize>> {
        loop {
            let outputs = waiting
                .iter()
                .map(|&index| self.0[index].1.stdout.as_ref().context("a piped output"));
            let outputs = outputs.collect::<Result<Vec<_>>>()?;
            let mut fds: Vec<_> = outputs
                .into_iter()
                .map(|output| PollFd::new(output, PollFlags::IN))
                .collect();
            let left = deadline.saturating_duration_since(Instant::now());
            match poll(&mut fds, Some(&left.try_into()?)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let ready = waiting
                .iter()
                .zip(&fds)
                .filter(|(_, fd)| !fd.revents().is_empty());
            return Ok(ready.map(|(&index, _)| index).collect());
        }
    }
}

/// What a process of a measurement does: its task, then a line of JSON.
pub fn participate(task: &str) -> Result<()> {
    // Not to outlive a run that was interrupted.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        // Whatever thread it was: the measurement is over.
        std::process::exit(101);
    }));
    let task: Task = serde_json::from_str(task)?;
    let outcome = if task.case.workload == Workload::Copy {
        peers::limits::copy(&task)?
    } else {
        let contender =
            peers::find(&task.case.contender).ok_or_else(|| anyhow!("no such contender"))?;
        contender.driver.run(&task)?
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
