//! What the kernel offers: pipes, Unix sockets, message queues.

use crate::case::{Case, Handle, Mode};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::endpoint::{receive_batches, receive_singly, send_batches, send_singly};
use crate::item::Item;
use anyhow::{Context, Result, ensure};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::fs::File;
use std::io::{Read, Write};
use sysvshm::bytemuck;

/// A file descriptor that the processes of the measurement inherit.
pub fn inherited(fd: &impl AsRawFd) -> Result<String> {
    let fd = fd.as_raw_fd();
    // SAFETY: the caller has it open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::empty())?;
    Ok(fd.to_string())
}

/// The inherited file descriptor at this place of a handle.
pub fn file(handle: &Handle, index: usize) -> Result<File> {
    let fd = handle
        .get(index)
        .context("the number of a file descriptor")?
        .parse()?;
    // SAFETY: inherited for this purpose, and nothing else in this process uses it; a copy may be closed again.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(File::from(fd.try_clone_to_owned()?))
}

/// A stream of bytes. Items are written whole: what is read may end in the middle of one.
struct Bytes {
    file: File,
    mode: Mode,
    batch: usize,
}

impl Bytes {
    fn new(case: &Case, file: File) -> Self {
        Self {
            file,
            mode: case.mode,
            batch: case.batch(),
        }
    }
}

impl<T: Item> Sender<T> for Bytes {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.file.write_all(item.bytes()).expect("somebody reads");
    }

    fn stream(&mut self, first: u64, count: u64) {
        match self.mode {
            Mode::Single => send_singly::<T, _>(self, first, count),
            _ => send_batches::<T>(self.batch, first, count, |items| {
                self.file
                    .write_all(bytemuck::cast_slice(items))
                    .expect("somebody reads");
            }),
        }
    }
}

impl<T: Item> Receiver<T> for Bytes {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        self.file
            .read_exact(bytemuck::bytes_of_mut(item))
            .expect("somebody writes");
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        match self.mode {
            Mode::Single => receive_singly::<T, _>(self, first, count),
            _ => receive_batches::<T>(self.batch, first, count, |items| {
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(items);
                let mut got = self.file.read(bytes).expect("somebody writes");
                assert!(got > 0, "somebody writes");
                let whole = got.next_multiple_of(T::BYTES);
                self.file
                    .read_exact(&mut bytes[got..whole])
                    .expect("somebody writes");
                got = whole;
                got / T::BYTES
            }),
        }
    }
}

/// Bytes that a kernel buffer should hold: what the other channels do, and no less than a page.
fn wanted_bytes(case: &Case) -> usize {
    (case.capacity * case.bytes).clamp(4096, 1 << 20)
}

pub struct Pipe;

impl Peer for Pipe {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let (reader, writer) = rustix::pipe::pipe()?;
        if wanted_bytes(case) > 1 << 16 {
            rustix::pipe::fcntl_setpipe_size(&writer, wanted_bytes(case))?;
        }
        let bytes = rustix::pipe::fcntl_getpipe_size(&writer)? as u64;
        let handle = [inherited(&reader)?, inherited(&writer)?];
        Ok(Channel::new(handle, (reader, writer))
            .taking(bytes, "kernel memory at most, F_GETPIPE_SZ"))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Ok(Bytes::new(case, file(handle, 1)?))
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Ok(Bytes::new(case, file(handle, 0)?))
    }
}

fn socket_pair(kind: SocketType, case: &Case) -> Result<Channel> {
    let (one, other) =
        rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::empty(), None)?;
    // An item counts with the kernel's own structures for it.
    let wanted = wanted_bytes(case).max(2 * case.bytes);
    if wanted > sockopt::socket_send_buffer_size(&one)? {
        // Above the limit for all, the kernel takes the limit; root may exceed it.
        if sockopt::set_socket_send_buffer_size_force(&one, wanted).is_err() {
            sockopt::set_socket_send_buffer_size(&one, wanted)?;
        }
    }
    let bytes = sockopt::socket_send_buffer_size(&one)? as u64;
    let handle = [inherited(&other)?, inherited(&one)?];
    Ok(Channel::new(handle, (one, other)).taking(bytes, "kernel memory at most, SO_SNDBUF"))
}

pub struct UnixStream;

impl Peer for UnixStream {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        socket_pair(SocketType::STREAM, case)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Ok(Bytes::new(case, file(handle, 1)?))
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Ok(Bytes::new(case, file(handle, 0)?))
    }
}

pub struct UnixSeqpacket;

struct Packets(File);

impl Peer for UnixSeqpacket {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        socket_pair(SocketType::SEQPACKET, case)
    }

    fn sender<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Ok(Packets(file(handle, 1)?))
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Ok(Packets(file(handle, 0)?))
    }
}

impl<T: Item> Sender<T> for Packets {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        let sent = self.0.write(item.bytes()).expect("somebody reads");
        assert_eq!(sent, T::BYTES);
    }
}

impl<T: Item> Receiver<T> for Packets {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        let got = self
            .0
            .read(bytemuck::bytes_of_mut(item))
            .expect("somebody writes");
        assert_eq!(got, T::BYTES);
    }
}

fn errno(call: &str) -> anyhow::Error {
    anyhow::Error::new(std::io::Error::last_os_error()).context(call.to_string())
}

/// A POSIX message queue, inherited: on Linux its descriptor is a file descriptor.
pub struct PosixQueue;

/// Without a name from the moment it exists. Holds as many messages as the case asks for, or as the system allows.
fn open_queue(case: &Case) -> Result<(OwnedFd, usize)> {
    if let Ok(queue) = open_queue_of(case.capacity, case.bytes) {
        return Ok((queue, case.capacity));
    }
    // More takes CAP_SYS_RESOURCE.
    let allowed = std::fs::read_to_string("/proc/sys/fs/mqueue/msg_max")?
        .trim()
        .parse()?;
    let capacity = case.capacity.min(allowed);
    Ok((open_queue_of(capacity, case.bytes)?, capacity))
}

fn open_queue_of(messages: usize, bytes: usize) -> Result<OwnedFd> {
    let name = format!("/sysvshm-comparison-{}\0", std::process::id());
    // SAFETY: all zeros are a valid value.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    attributes.mq_maxmsg = messages as _;
    attributes.mq_msgsize = bytes as _;
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR;
    // SAFETY: the name ends with a zero byte and the attributes live.
    let queue = unsafe { libc::mq_open(name.as_ptr().cast(), flags, 0o600, &raw const attributes) };
    if queue == -1 {
        return Err(errno("mq_open"));
    }
    // SAFETY: as above.
    let unlinked = unsafe { libc::mq_unlink(name.as_ptr().cast()) };
    // SAFETY: just opened, and nobody else has it.
    let queue = unsafe { OwnedFd::from_raw_fd(queue) };
    ensure!(unlinked == 0, errno("mq_unlink"));
    Ok(queue)
}

struct PosixEnd(OwnedFd);

impl Peer for PosixQueue {
    fn obstacle(&self, case: &Case) -> Option<String> {
        open_queue(case)
            .err()
            .map(|error| format!("{error:#} (fs.mqueue.msgsize_max)"))
    }

    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let (queue, messages) = open_queue(case)?;
        let source = format!("kernel memory at most, for {messages} messages");
        Ok(
            Channel::new([inherited(&queue)?], queue)
                .taking((messages * case.bytes) as u64, source),
        )
    }

    fn sender<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Ok(PosixEnd(file(handle, 0)?.into()))
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Ok(PosixEnd(file(handle, 0)?.into()))
    }
}

impl<T: Item> Sender<T> for PosixEnd {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        // SAFETY: the item is read only, and has so many bytes.
        let sent = unsafe {
            libc::mq_send(
                self.0.as_raw_fd(),
                item.bytes().as_ptr().cast(),
                T::BYTES,
                0,
            )
        };
        assert_eq!(sent, 0, "mq_send: {}", std::io::Error::last_os_error());
    }
}

impl<T: Item> Receiver<T> for PosixEnd {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        let room = bytemuck::bytes_of_mut(item).as_mut_ptr().cast();
        // SAFETY: there is room for an item, and any bytes are one.
        let got =
            unsafe { libc::mq_receive(self.0.as_raw_fd(), room, T::BYTES, std::ptr::null_mut()) };
        assert_eq!(
            got,
            T::BYTES as isize,
            "mq_receive: {}",
            std::io::Error::last_os_error()
        );
    }
}

/// A System V message queue.
pub struct SysvQueue;

struct Queue(i32);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: no pointer is passed.
        unsafe { libc::msgctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// `long mtype`, then the item.
#[repr(C)]
struct Message<T> {
    kind: libc::c_long,
    item: T,
}

struct SysvEnd<T> {
    queue: i32,
    message: Box<Message<T>>,
}

impl<T: Item> SysvEnd<T> {
    fn new(handle: &Handle) -> Result<Self> {
        let queue = handle
            .first()
            .context("the identifier of a message queue")?
            .parse()?;
        Ok(Self {
            queue,
            message: Box::new(Message {
                kind: 1,
                item: T::zeroed(),
            }),
        })
    }
}

impl Peer for SysvQueue {
    fn obstacle(&self, case: &Case) -> Option<String> {
        let most: usize = std::fs::read_to_string("/proc/sys/kernel/msgmax")
            .ok()?
            .trim()
            .parse()
            .ok()?;
        (case.bytes > most)
            .then(|| format!("a message has at most {most} bytes here (kernel.msgmax)"))
    }

    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        // SAFETY: no pointer is passed.
        let id = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        ensure!(id != -1, errno("msgget"));
        let queue = Queue(id);
        // SAFETY: all zeros are a valid value.
        let mut status: libc::msqid_ds = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes into `status`, which has the type it expects.
        let got = unsafe { libc::msgctl(id, libc::IPC_STAT, &raw mut status) };
        ensure!(got == 0, errno("msgctl(IPC_STAT)"));
        if wanted_bytes(case) as u64 > status.msg_qbytes {
            let usual = status.msg_qbytes;
            status.msg_qbytes = wanted_bytes(case) as u64;
            // Above kernel.msgmnb for root alone; others keep the usual size.
            // SAFETY: the kernel reads `status`, which IPC_STAT filled.
            if unsafe { libc::msgctl(id, libc::IPC_SET, &raw mut status) } != 0 {
                status.msg_qbytes = usual;
            }
        }
        Ok(Channel::new([id.to_string()], queue)
            .taking(status.msg_qbytes, "kernel memory at most, msg_qbytes"))
    }

    fn sender<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        SysvEnd::<T>::new(handle)
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        SysvEnd::<T>::new(handle)
    }
}

impl<T: Item> Sender<T> for SysvEnd<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.message.item = *item;
        // SAFETY: a message of a long and `T::BYTES` bytes.
        let sent =
            unsafe { libc::msgsnd(self.queue, (&raw const *self.message).cast(), T::BYTES, 0) };
        assert_eq!(sent, 0, "msgsnd: {}", std::io::Error::last_os_error());
    }
}

impl<T: Item> Receiver<T> for SysvEnd<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        // SAFETY: there is room for a long and `T::BYTES` bytes, and any bytes are an item.
        let got =
            unsafe { libc::msgrcv(self.queue, (&raw mut *self.message).cast(), T::BYTES, 0, 0) };
        assert_eq!(
            got,
            T::BYTES as isize,
            "msgrcv: {}",
            std::io::Error::last_os_error()
        );
        *item = self.message.item;
    }
}
