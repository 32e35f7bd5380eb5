//! `switch config`: the command that sets the service up.

use super::KamalProxy;
use crate::inventory::{Inventory, Pool};

/// What is to be done once; kamal-proxy has no configuration of its own.
pub(super) fn config(proxy: &KamalProxy, inventory: &Inventory) -> String {
    let (app, env) = (&inventory.app.name, &inventory.env);
    let user = inventory.ssh.user.as_deref().unwrap_or("deploy");
    let mut line = proxy.deploy();
    line.push(format!("--target={}", proxy.of(Pool::Blue)));
    // A line that a shell could not take is shown as it is.
    let command = shlex::try_join(line.iter().map(String::as_str)).unwrap_or_else(|_| line.join(" "));
    format!(
        "\
# kamal-proxy for {app} in {env}, by `pointsman switch config`. It needs kamal-proxy 0.9 or newer, and no configuration.
#
# Once, as {user}, on each router, while blue serves:
{command}
#
# Each flip is such a command, with the other pool's servers as targets. It sets every option of the service, so all of them
# stand in [switch.kamal_proxy] options.
"
    )
}
