//! Starts the processes of a measurement, watches over them, and collects what they found.

use crate::act::{expected_sum, merge};
use crate::case::{Act, Case, End, Outcome, Task};
use crate::peers;
use crate::place::Control;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The argument that makes this program a process of a measurement.
pub const PERFORM: &str = "--perform";

/// After one process has failed, how long others have to say why they fail.
const AFTERMATH: Duration = Duration::from_millis(50);

/// The processes of one measurement, killed if it goes wrong.
#[derive(Default)]
struct Company(Vec<(String, Child)>);

impl Drop for Company {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Measures once. `patience` is how long nothing may take.
pub fn measure(case: &Case, count: u64, patience: Duration) -> Result<Outcome> {
    let what = || format!("{case:?}, {count} times");
    let measured = try_to_measure(case, count, patience).with_context(what);
    if measured.is_err() && case.contender.starts_with("iceoryx2") {
        peers::clean_up_iceoryx2();
    }
    measured
}

fn try_to_measure(case: &Case, count: u64, patience: Duration) -> Result<Outcome> {
    let performer = peers::find(&case.contender).map(|contender| contender.performer);
    let control = Control::create()?;
    let between = performer.is_some_and(|performer| performer.between_processes());
    let channels = match case.act {
        Act::RoundTrip if between => 2 * case.pairs,
        Act::Create | Act::Copy => 0,
        _ => 1,
    };
    let create = |_| {
        performer
            .with_context(|| format!("no contender {:?}", case.contender))?
            .create(case)
    };
    let mut channels = (0..channels).map(create).collect::<Result<Vec<_>>>()?;
    let handles: Vec<_> = channels
        .iter()
        .map(|channel| channel.handle.clone())
        .collect();
    let ends = match case.act {
        Act::Attach | Act::Create | Act::Copy => vec![None],
        _ if !between => vec![None],
        _ => (0..case.pairs)
            .flat_map(|pair| [Some(End::Receiver(pair)), Some(End::Sender(pair))])
            .collect(),
    };
    let mut company = Company::default();
    for end in ends {
        let task = Task {
            case: case.clone(),
            handles: handles.clone(),
            control: control.id(),
            end,
            count,
        };
        company.0.push((format!("{end:?}"), start(&task)?));
    }
    let introductions = channels
        .iter_mut()
        .filter_map(|channel| channel.introduce.take());
    for introduce in introductions.collect::<Vec<_>>() {
        // Waits for the processes, so it must not keep this one from watching them.
        std::thread::spawn(introduce);
    }
    let outcomes = company.outcomes(&control, patience)?;
    drop(channels);
    let useful = |outcome: &Outcome| outcome.ended_ns != 0 || !outcome.values.is_empty();
    let outcome = merge(outcomes.into_iter().filter(useful).collect())
        .context("no process found anything")?;
    if case.act == Act::Stream {
        let whole = count / case.pairs as u64 * case.pairs as u64;
        ensure!(
            outcome.received == whole,
            "{} items came, {whole} were sent",
            outcome.received
        );
        if case.pairs > 1 {
            ensure!(
                outcome.sum == expected_sum(case, count),
                "the items that came are not those that were sent"
            );
        }
    }
    Ok(outcome)
}

fn start(task: &Task) -> Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg(PERFORM)
        .arg(serde_json::to_string(task)?)
        // What went wrong fits in a line.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting a process of the measurement")
}

impl Company {
    /// Waits for all. The first that fails, or the end of patience, fails everything.
    fn outcomes(&mut self, control: &Control, patience: Duration) -> Result<Vec<Outcome>> {
        let deadline = Instant::now() + patience;
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
                    "no end after {patience:?}: {} still at work, {met} arrivals at meetings",
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
                    // Where one end finds a mistake, the other may find that nobody is there, and be seen first.
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
        for (end, child) in &mut self.0 {
            if let Some(status) = child.try_wait()?.filter(|status| !status.success()) {
                let mut said = String::new();
                child
                    .stderr
                    .as_mut()
                    .context("a piped output")?
                    .read_to_string(&mut said)?;
                complaints.push(format!("{end}: {status}: {}", said.trim()));
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
pub fn perform(task: &str) -> Result<()> {
    // Not to outlive a run that was interrupted.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        // Whatever thread it was: the measurement is over.
        std::process::exit(101);
    }));
    let task: Task = serde_json::from_str(task)?;
    let outcome = if task.case.act == Act::Copy {
        peers::limits::copy(&task)?
    } else {
        let contender =
            peers::find(&task.case.contender).ok_or_else(|| anyhow!("no such contender"))?;
        contender.performer.perform(&task)?
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}
