//! `ipcs --queues`: what it shows of message queues, and what it removes.

use crate::common::{OwnedQueueKey, euid, peer};
use crate::ipcs::{listed, queues};
use sysvshm::message_queue::Receive;
use sysvshm::{MessageQueue, system};

/// What is listed under this key, in fields.
fn shown(queue: &MessageQueue) -> Vec<String> {
    let key = queue.status().unwrap().key().to_string();
    let text = listed(0, &["--queues", "--porcelain", "--key", &key]);
    let fields = queues(&text);
    assert_eq!(fields.len(), 1, "{text}");
    fields[0].iter().map(|&field| field.to_owned()).collect()
}

#[test]
fn a_queue_is_shown_with_its_messages_and_users() {
    let key = OwnedQueueKey::random();
    let queue = MessageQueue::create_new(key.key()).unwrap();
    let (id, name, uid) = (
        queue.id().to_string(),
        key.key().to_string(),
        euid().to_string(),
    );
    let line = shown(&queue);
    assert_eq!(line[..7], [&id, &name, &uid, &uid, "0600", "0", "0"]);
    assert_eq!(
        (&line[8..12], &*line[13]),
        (
            &["-", "unknown", "-", "unknown"].map(str::to_owned)[..],
            "-"
        )
    );
    queue.send(1, "hello").unwrap();
    queue.send(1, "you").unwrap();
    queue.receive(Receive::any()).unwrap();
    queue.set_capacity_bytes(1234).unwrap();
    let line = shown(&queue);
    let pid = std::process::id().to_string();
    assert_eq!(
        line[5..12],
        ["3", "1", "1234", &pid, "alive", &pid, "alive"]
    );
    assert!(line[12].parse::<u64>().is_ok() && line[13].parse::<u64>().is_ok());
    assert_eq!(line.len(), 14);

    let table = listed(0, &["--queues", "--key", &name]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "------ Message Queues --------");
    let titles: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(
        titles[..6],
        ["key", "msqid", "owner", "perms", "bytes", "messages"]
    );
    assert!(lines[2].starts_with(&name) && lines.len() == 3, "{table}");
    let wide = listed(0, &["--queues", "--wide", "--key", &name]);
    assert!(
        wide.contains(&format!("{pid} alive")) && wide.contains("1234"),
        "{wide}"
    );
    // Each kind alone.
    for other in ["--segments", "--semaphores"] {
        assert_eq!(listed(0, &[other, "--porcelain", "--key", &name]), "");
    }
}

#[test]
fn limits_and_usage_of_queues_are_those_of_the_system() {
    let limits = system::message_queue_limits().unwrap();
    let text = listed(0, &["--queues", "--limits", "--porcelain"]);
    let expected = format!(
        "max_queues {}\nmax_message_bytes {}\nmax_queue_bytes {}\n",
        limits.max_queues, limits.max_message_bytes, limits.max_queue_bytes
    );
    assert_eq!(text, expected);
    let text = listed(0, &["--queues", "--usage", "--porcelain"]);
    assert!(text.starts_with("queues "), "{text}");
}

#[test]
fn a_queue_whose_last_users_are_gone_is_removed_and_one_in_use_is_not() {
    let user = peer!(|talk| {
        let queue = MessageQueue::open(talk.arg(0)).unwrap();
        queue.send(1, "hello").unwrap();
        if talk.arg::<String>(1) == "both" {
            queue.receive(Receive::any()).unwrap();
        }
    });
    let key = OwnedQueueKey::random();
    let queue = MessageQueue::create_new(key.key()).unwrap();
    let name = key.key().to_string();
    let dry = ["--queues", "--remove-stale", "--porcelain", "--key", &name];
    let really = [&dry[..], &["--yes"]].concat();
    // Not used yet; and a receiver that has not received yet may be waiting.
    assert_eq!(listed(0, &really), "");
    user.clone().arg(key.key()).arg("sends").run();
    assert_eq!(listed(0, &really), "");
    // The last receiver lives.
    queue.receive(Receive::any()).unwrap();
    assert_eq!(listed(0, &really), "");
    user.arg(key.key()).arg("both").run();
    assert_eq!(queues(&listed(3, &dry)).len(), 1);
    assert_eq!(queues(&listed(0, &really)).len(), 1);
    assert!(queue.status().unwrap_err().is_not_found());
    assert_eq!(listed(0, &really), "");
}
