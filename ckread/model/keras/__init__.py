"""Keras files opened: names, roles and owners of their variables.

The door is `opening`, imported when a Keras file is opened. `naming` names its variables:
`variables` those of layers; `optimizers` and `slots` say which optimizer there is and which of
its variables belongs to which weight.
"""
