"""Monitors in other people's training loops: the Trainer of Hugging Face's transformers, and Lightning."""

from landscape_viz.monitor.edge_monitor import EdgeMonitor


def watch_trainer(trainer, loss=None, **settings):
    """Let a `transformers.Trainer` call a monitor with each batch; return a function that gives the monitor.

    Parameters
    ----------
    trainer : transformers.Trainer
    loss : optional
        None (our choice): the loss that the model returns.
    **settings
        Of `EdgeMonitor`; `max_norm` is the trainer's own.

    Notes
    -----
    Batches of accumulated gradients are passed over but for the last, at which the optimiser steps.
    """
    original, made = trainer.training_step, []

    def training_step(model, inputs, *others, **options):
        if not made:
            clipping = {"max_norm": trainer.args.max_grad_norm or None}
            made.append(EdgeMonitor(model, trainer.optimizer, loss, **clipping | settings))
        if trainer.accelerator.sync_gradients:
            made[0].step(trainer._prepare_inputs(dict(inputs)))
        return original(model, inputs, *others, **options)

    trainer.training_step = training_step
    return lambda: made[0]


def lightning_callback(loss, network=lambda module: module, **settings):
    """Return a Lightning callback that calls a monitor with each batch; its attribute `monitor` holds it.

    Parameters
    ----------
    loss : str, None, torch criterion, `batch_loss(function)`, or callable
    network : callable
        Gives the network of a LightningModule (our choice: the module itself, called as its `forward`).
    **settings
        Of `EdgeMonitor`.
    """
    from lightning.pytorch.callbacks import Callback

    class EdgeCallback(Callback):
        monitor = None

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if self.monitor is None:
                optimizer = trainer.optimizers[0]
                clipping = {"max_norm": trainer.gradient_clip_val}
                model = network(pl_module)
                self.monitor = EdgeMonitor(model, optimizer, loss, **clipping | settings)
            self.monitor.step(batch)

    return EdgeCallback()
