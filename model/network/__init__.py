"""The recurrent network: cells, the linear readout on its state, and the softmax for symbols."""
