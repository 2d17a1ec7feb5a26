;; The names are right; what stands behind them is an instance without anything in it.
(component
  (instance $empty)
  (export "flyball:plugin/lifecycle@0.1.0" (instance $empty))
  (export "flyball:plugin/assessing@0.1.0" (instance $empty)))
