//! Everything that needs a server, in one binary: real processes on free ports, ended with the test. And the corpus.

#![allow(dead_code, reason = "the test ground offers more than the tests of today use")]

mod adventureworks;
mod commands;
mod comparator;
mod contract;
mod corpus;
mod crash;
mod ddl;
mod docker;
mod doors;
mod faults;
mod histories;
mod idle;
mod keys;
mod messages;
mod names;
mod overlap;
mod preflight;
mod recovery;
mod redshift;
mod rights;
mod rules;
mod shop;
mod soak;
mod support;
mod values;
mod worker;
