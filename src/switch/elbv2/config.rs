//! What AWS has to be told before the first deploy: the command that brings both groups into the action, and the policy
//! of the keys.

use std::fmt::Write as _;

use serde_json::json;

use super::actions::Groups;
use super::calls::Place;
use crate::inventory::{Inventory, Pool};

/// The lines for this inventory.
pub(super) fn text(place: &Place, groups: &Groups, inventory: &Inventory) -> String {
    let action = json!([{
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                { "TargetGroupArn": groups.blue, "Weight": 100 },
                { "TargetGroupArn": groups.green, "Weight": 0 },
            ]
        }
    }]);
    let command = if place.is_rule {
        format!(
            "aws elbv2 modify-rule --rule-arn {} --actions '{action}'",
            place.arn
        )
    } else {
        format!(
            "aws elbv2 modify-listener --listener-arn {} --default-actions '{action}'",
            place.arn
        )
    };
    let mut text = format!(
        "# {} {}: both target groups stand in the action, so that AWS checks the targets of both; weights say who serves.\n\
         # This makes blue hot. pointsman changes the two weights, and tags that begin with `pointsman:`.\n{command}\n\n",
        inventory.app.name, inventory.env
    );
    for pool in Pool::ALL {
        let hosts = inventory.pools.get(&pool).map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "# {pool}: {} (Id is the instance's, or the address)\n\
             aws elbv2 register-targets --target-group-arn {} --targets Id=...",
            names.join(", "),
            groups.of(pool)
        );
    }
    let _ = write!(
        text,
        "\n# What the keys have to be allowed, as an IAM policy:\n{:#}\n",
        policy(place)
    );
    text
}

/// The least that is enough. AWS ties no `Describe` action of this service to a resource.
fn policy(place: &Place) -> serde_json::Value {
    let modify = if place.is_rule {
        "elasticloadbalancing:ModifyRule"
    } else {
        "elasticloadbalancing:ModifyListener"
    };
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": [
                    "elasticloadbalancing:DescribeListeners",
                    "elasticloadbalancing:DescribeRules",
                    "elasticloadbalancing:DescribeTags",
                    "elasticloadbalancing:DescribeTargetGroups",
                    "elasticloadbalancing:DescribeTargetHealth",
                ],
                "Resource": "*",
            },
            {
                "Effect": "Allow",
                "Action": [
                    modify,
                    "elasticloadbalancing:AddTags",
                    "elasticloadbalancing:RemoveTags",
                ],
                "Resource": place.arn,
            },
        ],
    })
}
