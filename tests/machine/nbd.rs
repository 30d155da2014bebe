//! A card as qemu reaches it: network block device, fixed newstyle handshake, simple replies.
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>

use crate::card::Shared;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

// of the handshake
const FIXED_NEWSTYLE: u16 = 1;
const OPTION_INFO: u32 = 6;
const OPTION_GO: u32 = 7;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const ACK: u32 = 1;
const INFO: u32 = 3;
const UNSUPPORTED: u32 = 1 << 31 | 1;
/// Has flags, and knows FLUSH.
const TRANSMISSION: u16 = 1 | 1 << 2;

// of a transmission
const READ: u16 = 0;
const WRITE: u16 = 1;
const FLUSH: u16 = 3;
const SIMPLE_REPLY: u32 = 0x6744_6698;

/// Serves this card until its power fails or the machine is gone.
pub(crate) fn serve(card: &Shared, mut client: UnixStream) -> io::Result<()> {
    let len = card.lock().unwrap().len();
    shake_hands(len, &mut client)?;
    loop {
        let _magic_and_flags: [u8; 6] = read(&mut client)?;
        let kind = u16::from_be_bytes(read(&mut client)?);
        let handle: [u8; 8] = read(&mut client)?;
        let at = u64::from_be_bytes(read(&mut client)?);
        let len = u32::from_be_bytes(read(&mut client)?) as usize;
        let mut bytes = vec![0; if kind == WRITE { len } else { 0 }];
        client.read_exact(&mut bytes)?;
        let mut answer = SIMPLE_REPLY.to_be_bytes().to_vec();
        answer.extend(0_u32.to_be_bytes());
        answer.extend(handle);
        {
            let mut card = card.lock().unwrap();
            match kind {
                _ if !card.has_power => return Ok(()),
                READ => answer.extend(card.read(at, len)?),
                WRITE => card.write(at, bytes)?,
                FLUSH => card.flush(),
                _ => return Ok(()),
            }
        }
        client.write_all(&answer)?;
    }
}

fn shake_hands(len: u64, client: &mut UnixStream) -> io::Result<()> {
    client.write_all(b"NBDMAGICIHAVEOPT")?;
    client.write_all(&FIXED_NEWSTYLE.to_be_bytes())?;
    let _flags: [u8; 4] = read(client)?;
    loop {
        let _magic: [u8; 8] = read(client)?;
        let option = u32::from_be_bytes(read(client)?);
        let data = u32::from_be_bytes(read(client)?);
        io::copy(&mut client.take(data.into()), &mut io::sink())?;
        let mut reply = |kind: u32, data: &[u8]| {
            client.write_all(&REPLY_MAGIC.to_be_bytes())?;
            client.write_all(&option.to_be_bytes())?;
            client.write_all(&kind.to_be_bytes())?;
            client.write_all(&(data.len() as u32).to_be_bytes())?;
            client.write_all(data)
        };
        if option != OPTION_INFO && option != OPTION_GO {
            reply(UNSUPPORTED, &[])?;
            continue;
        }
        let export = [&[0; 2], &len.to_be_bytes()[..], &TRANSMISSION.to_be_bytes()].concat();
        reply(INFO, &export)?;
        reply(ACK, &[])?;
        if option == OPTION_GO {
            return Ok(());
        }
    }
}

fn read<const N: usize>(client: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}
