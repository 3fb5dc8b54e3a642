//! The two ends of a session with a GPU's worker.

use dynload_gpu::protocol::{Answer, Conversation, Frames, LENGTH, MAX_ANSWER, MAX_REQUEST, Request, WINDOW};
use dynload_sandbox::gpu::{Command, Reply};

/// Lets the bytes arrive as a stream, in portions of one size, and passes each frame to `decode` until it refuses one.
///
/// # Panics
///
/// If the stream takes more memory than twice of what has arrived, beyond its first buffer.
fn receive(mut bytes: &[u8], portion: usize, longest: usize, mut decode: impl FnMut(&[u8]) -> bool) {
    let mut frames = Frames::new(longest);
    let mut received = 0;
    loop {
        match frames.take() {
            Ok(Some(frame)) => {
                if !decode(frame) {
                    return;
                }
            }
            Ok(None) => {
                let fill = |space: &mut [u8]| {
                    let count = portion.min(space.len()).min(bytes.len());
                    let (now, later) = bytes.split_at(count);
                    space[..count].copy_from_slice(now);
                    bytes = later;
                    Ok(count)
                };
                let count = frames.fill(fill).expect("reading from memory");
                received += count;
                assert!(frames.capacity() <= (2 * received).max(16 << 10));
                if count == 0 {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// Reads the bytes as a worker reads its host, and as a host reads its worker. Returns the number of frames that were accepted.
///
/// The first byte is the size of the portions in which they arrive, and the second one says what the host has asked for.
///
/// # Panics
///
/// If a frame is another one after it was encoded again, or if the host accepts what it has not asked for.
pub fn gpu_frames(bytes: &[u8]) -> usize {
    let [portion, asked, stream @ ..] = bytes else {
        return 0;
    };
    let portion = usize::from(*portion) + 1;
    let mut accepted = 0;
    let mut head = Vec::new();
    receive(stream, portion, MAX_REQUEST, |frame| {
        let mut dispatches = Vec::new();
        let Ok(request) = Request::decode(frame, &mut dispatches) else {
            return false;
        };
        let tail = request.encode(&mut head);
        let again = [&head[LENGTH..], tail].concat();
        assert_eq!(Request::decode(&again, &mut Vec::new()), Ok(request));
        accepted += 1;
        true
    });

    let mut conversation = Conversation::new(asked & 1 != 0);
    let reads = u64::from(asked >> 4);
    let mut left = 0;
    for n in 0..reads {
        let (buffer, at, size) = (0, 0, 1 << n);
        conversation.ask(&match asked & 8 {
            0 => Request::Command(Command::Read { buffer, at, size }),
            _ => Request::ReadShared { buffer, at, size },
        });
        left += size;
    }
    for (bit, command) in [
        (2, Command::Wait),
        (
            4,
            Command::CreateKernel {
                kernel: 0,
                source: "",
                entry_point: "",
            },
        ),
    ] {
        if asked & bit != 0 {
            conversation.ask(&Request::Command(command));
        }
    }
    receive(stream, portion, MAX_ANSWER, |frame| {
        let Ok(answer) = Answer::decode(frame) else {
            return false;
        };
        let tail = answer.encode(&mut head);
        let again = [&head[LENGTH..], tail].concat();
        assert_eq!(Answer::decode(&again), Ok(answer.clone()));
        if conversation.hear(&answer).is_err() {
            return false;
        }
        let size = match answer {
            Answer::Reply(Reply::Data(data)) => data.len() as u64,
            Answer::Shared { from, size } => {
                assert!(asked & 8 != 0 && u64::from(from) + u64::from(size) <= u64::from(WINDOW));
                u64::from(size)
            }
            _ => 0,
        };
        left = u64::checked_sub(left, size).expect("more than was asked for");
        accepted += 1;
        true
    });
    accepted
}
