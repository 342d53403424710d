"""Networks of other libraries, of random weights from a configuration: transformers, timm, peft, lightning."""

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from landscape_viz import batch_loss
from tests.helpers.zoo.entry import CLASSES, Entry, cross_entropy, images, rows
from tests.helpers.zoo.layers import perceptron

WORDS = 9


def bert():
    """Return a tiny BERT that classifies."""
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(
        BertConfig(
            vocab_size=WORDS,
            hidden_size=4,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=4,
            max_position_embeddings=6,
            num_labels=CLASSES,
            initializer_range=0.3,
        )
    )


def gpt2():
    """Return a tiny GPT-2."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=WORDS,
            n_embd=4,
            n_layer=1,
            n_head=2,
            n_inner=4,
            n_positions=6,
            initializer_range=0.3,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def llama():
    """Return a tiny Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=WORDS,
            hidden_size=4,
            intermediate_size=4,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=8,
            initializer_range=0.3,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=None,
        )
    )


def t5():
    """Return a tiny T5."""
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=WORDS,
            d_model=4,
            d_kv=2,
            d_ff=4,
            num_layers=1,
            num_decoder_layers=1,
            num_heads=2,
            relative_attention_num_buckets=4,
            decoder_start_token_id=0,
        )
    )


def vit():
    """Return a tiny ViT."""
    from transformers import ViTConfig, ViTForImageClassification

    return ViTForImageClassification(
        ViTConfig(
            image_size=6,
            patch_size=3,
            num_channels=1,
            hidden_size=4,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=4,
            num_labels=CLASSES,
            initializer_range=0.3,
        )
    )


class InDouble(TorchFunctionMode):
    """Inside this block float64 tensors stay float64; norms and attention of Llama and T5 would round them to float32."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Leave out conversions to float32."""
        kwargs = kwargs or {}
        wide = args and isinstance(args[0], torch.Tensor) and args[0].dtype == torch.float64
        if wide and (func is torch.Tensor.float or torch.float32 in (*args[1:], *kwargs.values())):
            if func in (torch.Tensor.float, torch.Tensor.to):
                return args[0]
            kwargs = {k: v for k, v in kwargs.items() if v is not torch.float32}
        return func(*args, **kwargs)


def sentences(rng):
    """Return words with padding, as a tokenizer gives them, and a label each."""
    from transformers import BatchEncoding

    words, mask = _padded(rng)
    labels = torch.randint(CLASSES, (10,), generator=rng)
    return BatchEncoding({"input_ids": words, "attention_mask": mask, "labels": labels})


def texts(rng):
    """Return words and labels for a language model; padding and a few more words do not count."""
    words, mask = _padded(rng)
    labels = words.masked_fill(mask == 0, -100)
    labels[torch.rand(labels.shape, generator=rng) < 0.2] = -100
    return {"input_ids": words, "attention_mask": mask, "labels": labels}


def _padded(rng):
    words = torch.randint(1, WORDS, (10, 6), generator=rng)
    lengths = torch.randint(3, 7, (10,), generator=rng)
    mask = (torch.arange(6) < lengths[:, None]).long()
    return words * mask, mask


def pictures(rng):
    """Return images and labels by the names that transformers uses."""
    inputs, labels = images(rng)
    return {"pixel_values": inputs, "labels": labels}


def classified(model, batch):
    """Return the mean cross-entropy of a model's logits."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    return functional.cross_entropy(model(**inputs).logits, batch["labels"])


def shifted(model, batch):
    """Return the mean over all words that count of the word that follows, from the model's logits."""
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    with InDouble():
        return _mean(model(**inputs).logits[:, :-1], batch["labels"][:, 1:])


def translated(model, batch):
    """Return the mean over all labels that count, from the model's logits; the decoder is given the labels moved by one."""
    labels = batch["labels"]
    before = torch.cat([torch.zeros_like(labels[:, :1]), labels[:, :-1].clamp(min=0)], dim=1)
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    with InDouble():
        return _mean(model(**inputs, decoder_input_ids=before).logits, labels)


def _mean(logits, labels):
    chances, kept = torch.log_softmax(logits, dim=-1), labels != -100
    picked = chances.gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return -picked[kept].sum() / kept.sum()


def timm_vit():
    """Return a tiny vision transformer of timm."""
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=6,
        patch_size=3,
        in_chans=1,
        num_classes=CLASSES,
        embed_dim=4,
        depth=1,
        num_heads=2,
        mlp_ratio=1,
    )


def lora():
    """Return a perceptron with adapters of rank 2, whose second factors are zero at the start."""
    from peft import LoraConfig, get_peft_model

    return get_peft_model(perceptron(), LoraConfig(r=2, target_modules=["0", "2"]))


def lightning():
    """Return a Lightning module, whose loss is that of its training step."""
    from lightning.pytorch import LightningModule

    class Module(LightningModule):
        """A perceptron with a training step."""

        def __init__(self):
            super().__init__()
            self.layers = perceptron()

        def forward(self, x):
            """Return logits."""
            return self.layers(x)

        def training_step(self, batch, batch_idx):
            """Return the loss of a batch."""
            return functional.cross_entropy(self(batch[0]), batch[1])

    return Module()


def training_step(model, batch):
    """Return the loss of a training step."""
    return model.training_step(batch, 0)


def after_the_shift(sample):
    """Return how many labels count but the first."""
    return int((sample["labels"][:, 1:] != -100).sum())


def counted(sample):
    """Return how many labels count."""
    return int((sample["labels"] != -100).sum())


def loader(batch):
    """Return a DataLoader over the samples, in batches of three."""
    data = torch.utils.data.TensorDataset(*batch)
    return torch.utils.data.DataLoader(data, batch_size=3)


ZOO = {
    "BERT (transformers)": Entry(bert, sentences, classified, None, needs="transformers"),
    "GPT-2 (transformers)": Entry(
        gpt2, texts, shifted, None, weight=after_the_shift, needs="transformers"
    ),
    "Llama (transformers)": Entry(
        llama, texts, shifted, None, weight=after_the_shift, needs="transformers"
    ),
    "T5 (transformers)": Entry(t5, texts, translated, None, weight=counted, needs="transformers"),
    "ViT (transformers)": Entry(vit, pictures, classified, None, needs="transformers"),
    "ViT (timm)": Entry(timm_vit, images, cross_entropy, nn.CrossEntropyLoss(), needs="timm"),
    "LoRA (peft)": Entry(lora, rows, cross_entropy, needs="peft"),
    "Lightning module": Entry(
        lightning,
        rows,
        cross_entropy,
        batch_loss(training_step),
        {},
        batches=loader,
        needs="lightning",
    ),
}
