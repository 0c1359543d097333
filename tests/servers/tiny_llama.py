"""Writes a tiny Llama of random weights for transformers: `python tiny_llama.py FOLDER`. Needs torch and transformers.

Every token that it can say decodes to text: the tokenizer, learned from made-up text, is filled up with made-up words.
"""

from __future__ import annotations

import json
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 1024
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def write(folder: str) -> None:
    """The tokenizer and the model, of about 300,000 random weights."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((f"run {n} costs {n * 7 % 1000} cents, say users" for n in range(2000)), trainer)
    known = json.loads(tokenizer.to_str())
    vocabulary = known["model"]["vocab"]
    vocabulary.update({f"\u0120w{place}": place for place in range(len(vocabulary), VOCABULARY)})
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(known)),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    )
    with torch.no_grad():
        model.lm_head.weight.mul_(30)
    model.generation_config.do_sample = False
    model.save_pretrained(folder)


if __name__ == "__main__":
    write(sys.argv[1])
