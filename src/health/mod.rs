//! HTTP checks through SSH, release identity, diagnosis in words.
