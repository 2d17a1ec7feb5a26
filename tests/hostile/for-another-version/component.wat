(component
  (instance $empty)
  (export "flyball:plugin/lifecycle@9.0.0" (instance $empty))
  (export "flyball:plugin/assessing@9.0.0" (instance $empty)))
