"""Many steps ahead: experts, their mixture and intervals for every horizon. Begin with `forecaster`."""
