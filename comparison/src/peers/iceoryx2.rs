//! iceoryx2: publish and subscribe, one publisher and one subscriber that blocks it when its buffer is full.

use crate::case::{Case, Handle, Mode, Polling, Taken, Workload};
use crate::endpoint::{
    Channel, Peer, Receiver, Sender, Wrong, checked_runs, receive_singly, runs, send_singly, until,
};
use crate::item::{BY_VALUE_BYTES, Item};
use anyhow::{Context, Result, anyhow};
use iceoryx2::port::{
    listener::Listener, notifier::Notifier, publisher::Publisher, subscriber::Subscriber,
};
use iceoryx2::prelude::*;
use iceoryx2::service::port_factory::{event, publish_subscribe};
use std::sync::atomic::{AtomicU32, Ordering};

type Ipc = ipc::Service;

pub struct Iceoryx2;

fn node() -> Result<Node<Ipc>> {
    set_log_level(LogLevel::Fatal);
    NodeBuilder::new()
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<Ipc>()
        .map_err(|error| anyhow!("iceoryx2 node: {error:?}"))
}

/// What the ports of one end hang on to.
struct Joined<T: Item> {
    items: publish_subscribe::PortFactory<Ipc, T, ()>,
    /// To wake a sleeper, which publishing alone does not.
    wakes: Option<event::PortFactory<Ipc>>,
    /// Must live as long.
    _node: Node<Ipc>,
}

fn join<T: Item>(case: &Case, name: &str) -> Result<Joined<T>> {
    let node = node()?;
    let name: ServiceName = name.try_into().map_err(|error| anyhow!("{error:?}"))?;
    let items = node
        .service_builder(&name)
        .publish_subscribe::<T>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(case.capacity)
        .subscriber_max_borrowed_samples(case.batch().max(2))
        .history_size(0)
        .max_publishers(1)
        .max_subscribers(1)
        .open_or_create()
        .map_err(|error| anyhow!("iceoryx2 service: {error:?}"))?;
    let sleeps = matches!(case.workload, Workload::Wake | Workload::Idle);
    let wakes = sleeps
        .then(|| node.service_builder(&name).event().open_or_create())
        .transpose()
        .map_err(|error| anyhow!("iceoryx2 event service: {error:?}"))?;
    Ok(Joined {
        items,
        wakes,
        _node: node,
    })
}

struct IceoryxSender<T: Item> {
    publisher: Publisher<Ipc, T, ()>,
    notifier: Option<Notifier<Ipc>>,
    mode: Mode,
    _joined: Joined<T>,
}

struct IceoryxReceiver<T: Item> {
    subscriber: Subscriber<Ipc, T, ()>,
    listener: Option<Listener<Ipc>>,
    mode: Mode,
    polling: Polling,
    _joined: Joined<T>,
}

impl Peer for Iceoryx2 {
    /// Its files belong to the first user who runs it.
    fn obstacle(&self, _: &Case) -> Option<String> {
        let error = node().err()?;
        Some(format!(
            "{error:#} (has another user files in /tmp/iceoryx2, /dev/shm/iox2_*?)"
        ))
    }

    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sysvshm-comparison/{}/{count}", std::process::id());
        let joined = join::<T>(case, &name)?;
        Ok(Channel::new([name], joined))
    }

    fn footprint<T: Item>(&self, case: &Case) -> Result<Option<Taken>> {
        let before = shared_memory_bytes()?;
        let channel = self.create::<T>(case)?;
        let receiver = self.receiver::<T>(case, &channel.handle)?;
        let sender = self.sender::<T>(case, &channel.handle)?;
        let bytes = shared_memory_bytes()?.saturating_sub(before);
        drop((sender, receiver));
        Ok(Some(Taken {
            bytes,
            source: "its new files in /dev/shm".to_string(),
        }))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        let joined = join::<T>(case, handle.first().context("the name of a service")?)?;
        let publisher = joined
            .items
            .publisher_builder()
            .max_loaned_samples(2)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .map_err(|error| anyhow!("iceoryx2 publisher: {error:?}"))?;
        let notifier = joined
            .wakes
            .as_ref()
            .map(|wakes| wakes.notifier_builder().create())
            .transpose()
            .map_err(|error| anyhow!("iceoryx2 notifier: {error:?}"))?;
        Ok(IceoryxSender {
            publisher,
            notifier,
            mode: case.mode,
            _joined: joined,
        })
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let joined = join::<T>(case, handle.first().context("the name of a service")?)?;
        let subscriber = joined
            .items
            .subscriber_builder()
            .buffer_size(case.capacity)
            .create()
            .map_err(|error| anyhow!("iceoryx2 subscriber: {error:?}"))?;
        let listener = joined
            .wakes
            .as_ref()
            .map(|wakes| wakes.listener_builder().create())
            .transpose()
            .map_err(|error| anyhow!("iceoryx2 listener: {error:?}"))?;
        Ok(IceoryxReceiver {
            subscriber,
            listener,
            mode: case.mode,
            polling: case.polling,
            _joined: joined,
        })
    }
}

impl<T: Item> Sender<T> for IceoryxSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.publisher
            .send_copy(*item)
            .expect("somebody subscribes");
        if let Some(notifier) = &self.notifier {
            notifier.notify().expect("somebody listens");
        }
    }

    fn stream(&mut self, first: u64, count: u64) {
        match self.mode {
            Mode::InPlace => runs(1, first, count, |number, _| {
                let mut sample = self.publisher.loan_uninit().expect("a sample is free");
                if T::BYTES <= BY_VALUE_BYTES {
                    sample.payload_mut().write(T::of(number));
                } else {
                    sample.payload_mut().write(T::zeroed()).set(number);
                }
                // SAFETY: written just now.
                unsafe { sample.assume_init() }
                    .send()
                    .expect("somebody subscribes");
                1
            }),
            _ => send_singly(self, first, count),
        }
    }
}

impl<T: Item> Receiver<T> for IceoryxReceiver<T> {
    /// A subscriber joins a publisher when it looks for the first time. Until then a full buffer does not block:
    /// what does not fit is lost.
    fn prepare(&mut self) {
        assert!(!self.subscriber.has_samples().expect("somebody publishes"));
    }

    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        let Some(listener) = &self.listener else {
            let sample = until(self.polling, || {
                self.subscriber.receive().expect("somebody publishes")
            });
            *item = *sample;
            return;
        };
        loop {
            if let Some(sample) = self.subscriber.receive().expect("somebody publishes") {
                *item = *sample;
                return;
            }
            listener.blocking_wait(|_| ()).expect("somebody notifies");
        }
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        match self.mode {
            Mode::InPlace => checked_runs(1, first, count, |number, _| {
                let sample = until(self.polling, || {
                    self.subscriber.receive().expect("somebody publishes")
                });
                (1, sample.is(number))
            }),
            _ => receive_singly(self, first, count),
        }
    }
}

/// Of all its files in shared memory.
fn shared_memory_bytes() -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir("/dev/shm")? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("iox2_") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// Removes what a killed process left in the file system.
pub fn clean_up() {
    if let Ok(node) = node() {
        node.try_cleanup_dead_nodes();
    }
}
