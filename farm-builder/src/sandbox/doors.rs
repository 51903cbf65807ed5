//! How a helper comes into the control group of its build where it goes by itself: the daemon, who may open the group's files, hands
//! them over with its first word.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};

/// At most so many: a group has one door for each controller.
const MOST: usize = 8;

/// Says to a helper that it may go on, through these doors if there are any.
pub fn send(socket: impl AsFd, doors: &[File]) -> io::Result<()> {
    let doors: Vec<BorrowedFd<'_>> = doors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    if !doors.is_empty() && !message.push(SendAncillaryMessage::ScmRights(&doors)) {
        return Err(io::Error::other("a control group has too many doors"));
    }
    sendmsg(socket, &[IoSlice::new(b"\n")], &mut message, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Waits for that word and goes through the doors; answers `false` if the daemon hangs up instead. This process has one thread still.
pub fn enter(socket: &UnixStream) -> io::Result<bool> {
    let (mut word, mut space) = ([0; 1], [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))]);
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let came = recvmsg(socket, &mut [IoSliceMut::new(&mut word)], &mut message, RecvFlags::CMSG_CLOEXEC)?.bytes;
    for part in message.drain() {
        let RecvAncillaryMessage::ScmRights(mut doors) = part else { continue };
        doors.try_for_each(through)?;
    }
    Ok(came > 0)
}

/// Version 1 takes 0 for the thread that writes it.
fn through(door: OwnedFd) -> io::Result<()> {
    File::from(door).write_all(b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_goes_through_every_door_and_keeps_none() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let doors: Vec<File> =
            ["cpu", "pids"].map(|name| fs_err::File::create(dir.path().join(name)).unwrap().into_file()).into();
        send(&ours, &doors).unwrap();
        drop(doors);
        assert!(enter(&theirs).unwrap());
        for name in ["cpu", "pids"] {
            assert_eq!(fs_err::read_to_string(dir.path().join(name)).unwrap(), "0", "{name}");
        }
        let open = fs_err::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| fs_err::read_link(entry.unwrap().path()).ok());
        assert_eq!(open.filter(|path| path.starts_with(dir.path())).count(), 0);
    }

    #[test]
    fn without_doors_it_goes_on_and_without_a_word_it_does_not() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(&ours, &[]).unwrap();
        assert!(enter(&theirs).unwrap());
        drop(ours);
        assert!(!enter(&theirs).unwrap());
    }
}
