//! The other end, as it must not be.

use dynload_caps::GpuKind;
use dynload_gpu::protocol::{Answer, Frames, MAX_REQUEST, Request, VERSION, WINDOW};
use dynload_sandbox::gpu::{Command, Device, PIECE, Reply};
use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    process::exit,
    time::Duration,
};

/// The variable that says what the fake does.
pub(crate) const VARIABLE: &str = "DYNLOAD_FAKE_WORKER";

/// The device that it reports.
pub(crate) fn device() -> Device {
    Device {
        kind: GpuKind::Virtual,
        name: "a fake".into(),
    }
}

struct Host {
    socket: UnixStream,
    frames: Frames,
}

impl Host {
    /// Sends bytes, or ends when the host does not read any more.
    fn send(&mut self, bytes: &[u8]) {
        if self.socket.write_all(bytes).is_err() {
            exit(0);
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        let bytes = encoded(answer);
        self.send(&bytes);
    }

    fn reply(&mut self, reply: Reply<'_>) {
        self.answer(&Answer::Reply(reply));
    }

    /// Waits for the next frame of the host.
    fn frame(&mut self) -> Vec<u8> {
        loop {
            if self.frames.whole().unwrap().is_some() {
                return self.frames.take().unwrap().unwrap().to_vec();
            }
            if self.frames.fill(|space| self.socket.read(space)).unwrap_or(0) == 0 {
                exit(0);
            }
        }
    }

    fn hello(&mut self, version: u32) {
        let devices = vec![device()];
        self.answer(&Answer::Hello { version, devices });
    }

    /// Does what a worker does, except that it has no memory: a buffer contains zeros.
    fn serve(&mut self, mut send: impl FnMut(&mut Host, &[u8])) -> ! {
        loop {
            let frame = self.frame();
            let mut dispatches = Vec::new();
            match Request::decode(&frame, &mut dispatches).unwrap() {
                Request::Open { .. } | Request::Command(Command::Wait | Command::CreateBuffer { .. }) => {
                    send(self, &encoded(&Answer::Reply(Reply::Ready)));
                }
                Request::Command(Command::Read { mut size, .. }) | Request::ReadShared { mut size, .. } => {
                    while size > 0 {
                        let count = size.min(u64::from(PIECE));
                        let piece = vec![0; count as usize];
                        send(self, &encoded(&Answer::Reply(Reply::Data(&piece))));
                        size -= count;
                    }
                }
                Request::Command(_) | Request::WriteShared { .. } => {}
            }
        }
    }
}

fn encoded(answer: &Answer<'_>) -> Vec<u8> {
    let mut head = Vec::new();
    let tail = answer.encode(&mut head);
    [&head, tail].concat()
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// Is the fake worker with that behavior.
pub(crate) fn run(behavior: &str) -> ! {
    let socket = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut host = Host {
        socket: socket.into(),
        frames: Frames::new(MAX_REQUEST),
    };
    match behavior {
        "says nothing" => hang(),
        "ends" => exit(0),
        "says something else" => host.send(b"GET / HTTP/1.1\r\n\r\n"),
        "is of another version" => host.hello(VERSION + 1),
        _ => host.hello(VERSION),
    }
    if behavior == "ends after its greeting" {
        exit(0);
    }
    if behavior == "hangs" {
        hang();
    }
    if behavior == "opens, speaks and hangs" {
        host.frame();
        host.reply(Reply::Ready);
        host.frame();
        host.send(&[1]);
        hang();
    }
    if behavior == "leaves a process" {
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", "/bin/sleep 1000 &"]).status().unwrap();
    }
    if behavior == "answers byte by byte" {
        host.serve(|host, bytes| bytes.iter().for_each(|byte| host.send(&[*byte])));
    }
    // The others open the device, and lie when they are asked for something.
    host.frame();
    if behavior == "sends data that was not asked for" {
        host.reply(Reply::Data(b"data"));
    }
    host.reply(Reply::Ready);
    if behavior != "answers" && behavior != "leaves a process" {
        host.frame();
    }
    match behavior {
        "answers with another kind" => host.reply(Reply::Invalid("no")),
        "announces four gigabytes" => host.send(&[0xff; 4]),
        "announces nothing" => host.send(&[0; 4]),
        "sends a frame that is too long" => {
            host.send(&(PIECE + 2).to_le_bytes());
            host.send(&[6]);
            host.send(&vec![0; PIECE as usize + 1]);
        }
        "sends more than was asked for" => host.reply(Reply::Data(&[0; 9])),
        "shares more than was asked for" => host.answer(&Answer::Shared { from: 0, size: 9 }),
        "shares what is not shared" => {
            let from = WINDOW - 7;
            host.answer(&Answer::Shared { from, size: 8 });
        }
        "answers through shared memory" => loop {
            host.answer(&Answer::Shared { from: 0, size: 3 });
            host.answer(&Answer::Shared {
                from: WINDOW - 5,
                size: 5,
            });
            host.frame();
        },
        "answers twice" => {
            host.reply(Reply::Data(&[0; 8]));
            host.reply(Reply::Ready);
        }
        "floods" => loop {
            host.reply(Reply::Ready);
        },
        "ends in a frame" => {
            host.send(&[9, 0, 0, 0, 6, 1, 2]);
            exit(0);
        }
        "greets again" => host.hello(VERSION),
        _ => host.serve(|host, bytes| host.send(bytes)),
    }
    hang()
}
