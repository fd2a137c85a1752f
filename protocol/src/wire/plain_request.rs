//! Requests without fields, and those whose only field is a group's name.

/// Makes a request type: `Name` has an empty body, `Name(group)` the group's 16 bytes.
macro_rules! plain_request {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl $crate::wire::Request for $name {
            const COMMAND: $crate::Command = $command;

            fn encode_body(&self, _out: &mut bytes::BytesMut) {}

            fn decode_body(body: &[u8]) -> Result<Self, $crate::wire::DecodeError> {
                $crate::wire::Reader::new(body).finish()?;
                Ok(Self)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident(group), $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $crate::GroupName);

        impl $crate::wire::Request for $name {
            const COMMAND: $crate::Command = $command;

            fn encode_body(&self, out: &mut bytes::BytesMut) {
                self.0.encode(out);
            }

            fn decode_body(body: &[u8]) -> Result<Self, $crate::wire::DecodeError> {
                let mut reader = $crate::wire::Reader::new(body);
                let group = $crate::GroupName::decode(&mut reader)?;
                reader.finish()?;
                Ok(Self(group))
            }
        }
    };
}
pub(crate) use plain_request;
