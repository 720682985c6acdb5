//! A push whose output nobody reads: a terminal that was stopped, a log reader that stalls.

use std::io::{PipeReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use crate::harness::{HYPERVISOR, Lab, Pushed};
use crate::running::{Output, until};

/// What a pipe takes.
const PIPE: usize = 65_536;

/// Begins a push of vm2 whose output is a full pipe.
fn stuck(lab: &Lab) -> (Child, PipeReader) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'.'; PIPE]).unwrap();
    let mut command = lab.command(&["deployvm", "push", "-H", HYPERVISOR, "--yes", "--json", "vm2"]);
    command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer);
    (command.spawn().unwrap(), reader)
}

#[test]
fn a_push_goes_on_and_hears_signals_where_nobody_reads() {
    let lab = Lab::deployed(&[]);
    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "2";"#);
    let (mut child, mut reader) = stuck(&lab);
    let id = lab.reaches(&before, "waiting");
    assert_eq!(lab.outcome(&id)[0], "deployed");
    lab.answers("vm2", "vm2 version 2");
    // Who reads in the end gets all of it.
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    let stdout = said.trim_start_matches('.').to_owned();
    let pushed = Pushed(Output { code, stdout, stderr: String::new() }).expect(0);
    pushed.vm_is("vm2", "deployed", 0);

    let before = lab.transactions();
    lab.edit_vm("vm2", r#"version = "3";"#);
    let (mut child, _reader) = stuck(&lab);
    let id = lab.reaches(&before, "started");
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(lab.outcome(&id)[0], "rolled-back");
    assert_eq!(lab.last_entry("vm2")["reason"], "interrupted");
    let ended = until("end", 60, || child.try_wait().unwrap().ok_or_else(|| "it goes on".to_owned()));
    assert_eq!(ended.code(), Some(30));
    lab.answers("vm2", "vm2 version 2");
}
