//! Protocol Buffers, as far as OpenStreetMap's files need them: fields of a message, lent from
//! its bytes.

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A field's content.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed size; no message here has one that matters.
    Fixed,
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed),
        }
    }

    pub(super) fn number(self) -> Result<u64, Malformed> {
        match self {
            Value::Number(number) => Ok(number),
            _ => Err(Malformed),
        }
    }
}

/// What is left of a message's bytes, or of a packed list's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a>(pub(super) &'a [u8]);

impl<'a> Wire<'a> {
    /// The next field with its number, until there is none.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        let Some(key) = self.number()? else { return Ok(None) };
        let value = match key & 7 {
            0 => Value::Number(self.number()?.ok_or(Malformed)?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.number()?.ok_or(Malformed)?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| Malformed)?)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, value)))
    }

    /// The next number of a packed list, until there is none.
    pub(super) fn number(&mut self) -> Result<Option<u64>, Malformed> {
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(Some(u64::from(*byte)));
        }
        let mut number = 0;
        for (i, byte) in self.0.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.0 = &self.0[i + 1..];
                return Ok(Some(number));
            }
        }
        if self.0.is_empty() { Ok(None) } else { Err(Malformed) }
    }

    /// The next signed number of a packed list, until there is none.
    pub(super) fn signed(&mut self) -> Result<Option<i64>, Malformed> {
        Ok(self.number()?.map(zigzag))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

/// A signed number as it is written: 0, -1, 1, -2, …
pub(super) fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
