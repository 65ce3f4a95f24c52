//! [`Config`]: the settings as they are written.
