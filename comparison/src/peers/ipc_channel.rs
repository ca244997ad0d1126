//! ipc-channel, Servo's: channels of bytes. Items beyond 16 words do not serialise as arrays, bytes always do.

use crate::case::{Case, Handle};
use crate::endpoint::{Channel, Peer, Receiver, Sender};
use crate::item::Item;
use anyhow::{Context, Result};
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender};
use sysvshm::bytemuck;

pub struct IpcChannel;

/// Through this a process is given its end.
type Introduction<Endpoint> = IpcSender<Endpoint>;

struct BytesSender(IpcBytesSender);
struct BytesReceiver(IpcBytesReceiver);

impl Peer for IpcChannel {
    fn create<T: Item>(&self, _: &Case) -> Result<Channel> {
        let (sender, receiver) = ipc::bytes_channel()?;
        let (for_sender, sender_name) = IpcOneShotServer::<Introduction<IpcBytesSender>>::new()?;
        let (for_receiver, receiver_name) =
            IpcOneShotServer::<Introduction<IpcBytesReceiver>>::new()?;
        let mut channel = Channel::new([sender_name, receiver_name], ());
        channel.introduce = Some(Box::new(move || {
            // In either order: each connects to a name of its own.
            let (_, introduce) = for_sender.accept().expect("the sender connects");
            introduce.send(sender).expect("the sender listens");
            let (_, introduce) = for_receiver.accept().expect("the receiver connects");
            introduce.send(receiver).expect("the receiver listens");
        }));
        Ok(channel)
    }

    fn sender<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        let (introduction, end) = ipc::channel()?;
        IpcSender::<Introduction<IpcBytesSender>>::connect(name(handle, 0)?)?.send(introduction)?;
        Ok(BytesSender(end.recv()?))
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let (introduction, end) = ipc::channel()?;
        IpcSender::<Introduction<IpcBytesReceiver>>::connect(name(handle, 1)?)?
            .send(introduction)?;
        Ok(BytesReceiver(end.recv()?))
    }
}

fn name(handle: &Handle, index: usize) -> Result<String> {
    handle.get(index).cloned().context("the name of a server")
}

impl<T: Item> Sender<T> for BytesSender {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.0.send(item.bytes()).expect("somebody receives");
    }
}

impl<T: Item> Receiver<T> for BytesReceiver {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        let bytes = self.0.recv().expect("somebody sends");
        bytemuck::bytes_of_mut(item).copy_from_slice(&bytes);
    }
}
