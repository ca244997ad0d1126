//! The first part of the lecture: producer and consumer share five numbers.

use crate::cleaner::Cleaner;
use crate::shell;
use crate::view;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use sysvshm::{ErrorKind, Key, SegmentId};

const KEY_FILE: &str = "SYSUOS";
const PROJECT_ID: u8 = 42;
const LECTURE_PAUSE: Duration = Duration::from_secs(10);

/// Runs both programs. The producer sleeps for `pause`.
pub(crate) fn run(pause: Duration) -> Result<(), Box<dyn Error>> {
    // The cleaner removes it; dropping it does so where there is no cleaner yet.
    let directory = tempfile::Builder::new()
        .prefix("sysvshm-lecture-")
        .tempdir()?;
    let directory = directory.path();
    let mut cleaner = Cleaner::start(directory)?;

    shell::addition("The lecture's programs. Lines with # are additions: the kernel's view.")?;
    shell::prompt("touch SYSUOS")?;
    let key = make_key_file(directory)?;
    shell::addition(format_args!("ftok(\"SYSUOS\", 42) is {key}"))?;
    view::show(key)?;

    shell::prompt("./sysvshm_producer &")?;
    let mut producer = shell::program("./sysvshm_producer", directory)?
        .arg("--seconds")
        .arg(pause.as_secs_f64().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let watched = cleaner.watch(&producer).map_err(Into::into);
    let shown = watched.and_then(|()| show_programs(&mut producer, directory, key, pause));
    if shown.is_err() {
        // It may have ended by itself, so neither call need succeed.
        let _ = producer.kill();
        let _ = producer.wait();
    }
    // Also says when something could not be cleaned up, which dropping it would not.
    let cleaned = cleaner.finish();
    shown.and(cleaned)
}

/// All that happens while the producer runs, and its end.
fn show_programs(
    producer: &mut Child,
    directory: &Path,
    key: Key,
    pause: Duration,
) -> Result<(), Box<dyn Error>> {
    let stdout = producer.stdout.take();
    let mut stdout = BufReader::new(stdout.ok_or("the producer has no stdout")?);

    // The producer prints its line when the numbers are in place: only then is it the consumer's turn.
    let mut text = String::new();
    if stdout.read_line(&mut text)? == 0 {
        return Err(format!("sysvshm_producer said nothing: {}", producer.wait()?).into());
    }
    shell::output(&text)?;
    view::show(key)?;

    shell::prompt("./sysvshm_consumer")?;
    let consumer = shell::program("./sysvshm_consumer", directory)?
        .stdin(Stdio::null())
        .status()?;
    if !consumer.success() {
        return Err(format!("sysvshm_consumer failed: {consumer}").into());
    }
    view::show(key)?;

    if pause != LECTURE_PAUSE {
        shell::addition(format_args!(
            "waiting for the producer, which sleeps {} s here and {} s in the lecture",
            pause.as_secs_f64(),
            LECTURE_PAUSE.as_secs()
        ))?;
    }
    shell::prompt("wait")?;
    text.clear();
    stdout.read_to_string(&mut text)?;
    shell::output(&text)?;
    let status = producer.wait()?;
    if !status.success() {
        return Err(format!("sysvshm_producer failed: {status}").into());
    }
    view::show(key)
}

/// An empty file whose key no segment has.
///
/// Only 16 bits of the file's inode number go into its key, so on a busy machine it may be taken, by somebody who would not like our numbers.
fn make_key_file(directory: &Path) -> Result<Key, Box<dyn Error>> {
    let path = directory.join(KEY_FILE);
    for attempt in 0..100 {
        File::create_new(&path)?;
        let key = Key::from_path(&path, PROJECT_ID)?;
        match SegmentId::find(key) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(key),
            Err(error) => return Err(error.into()),
            // The rejected file is kept under another name, so that the next one gets another inode.
            Ok(_) => std::fs::rename(&path, directory.join(format!("taken-{attempt}")))?,
        }
    }
    Err("a hundred files, and other programs have segments under the keys of all".into())
}
