//! What only etcd can do wrong.
