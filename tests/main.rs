//! Everything that needs a server, in one binary: real processes on free ports, ended with the test.

#![allow(dead_code, reason = "the test ground offers more than the tests of today use")]

mod adventureworks;
mod commands;
mod comparator;
mod contract;
mod crash;
mod ddl;
mod faults;
mod histories;
mod idle;
mod keys;
mod messages;
mod names;
mod overlap;
mod recovery;
mod rules;
mod shop;
mod soak;
mod support;
