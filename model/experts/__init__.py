"""Predictors beside the network (persistence, autoregression) and the mixture that weighs all of them online."""
