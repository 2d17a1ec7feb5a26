# threshold-heuristic's rules in Rego.
package rules

import rego.v1

held := 2

findings contains {"code": "node-failed", "severity": "critical", "target": node.id} if {
	some node in input.nodes
	node.status == "failed"
}

findings contains {"code": "node-degraded", "severity": "warning", "target": node.id} if {
	some node in input.nodes
	node.status == "degraded"
}

findings contains {"code": "errors-high", "severity": severity(node), "target": node.id} if {
	some node in input.nodes
	node.errors > 0
	node.samples >= 20
	failing(node)
	count(node.past) == held
	every past in node.past { failing(past) }
}

findings contains {"code": "node-stuck", "severity": "warning", "target": node.id} if {
	some node in input.nodes
	node.status == "unknown"
	queued(node)
}

findings contains {"code": "queue-pressure", "severity": "warning", "target": node.id} if {
	some node in input.nodes
	node.status != "unknown"
	queued(node)
}

findings contains {"code": "latency-rising", "severity": "warning", "target": node.id} if {
	some node in input.nodes
	node.trend == "rising"
	node.samples >= 20
	count(node.past) == held
	node.past[0].depth < node.past[1].depth
	node.past[1].depth < node.depth
	node.depth - node.past[0].depth >= node.capacity / 10
}

findings contains {"code": "heartbeat-stale", "severity": "warning", "target": node.id} if {
	some node in input.nodes
	node.heartbeat > 5000
	node.status != "failed"
}

queued(node) if {
	full(node)
	count(node.past) == held
	every past in node.past { full(past) }
}

full(at) if at.depth > at.capacity * 0.8

failing(at) if at.errors > (at.items + at.errors) * 0.05

severity(node) := "critical" if node.errors >= (node.items + node.errors) * 0.5

severity(node) := "warning" if node.errors < (node.items + node.errors) * 0.5
