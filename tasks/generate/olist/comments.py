"""Phrases that review titles and messages are composed of, by mood."""

from __future__ import annotations

TITLES = {
    "good": (
        "Recomendo", "Super recomendo", "Muito bom", "Ótimo", "Excelente!", "Nota 10", "Perfeito",
        "Bom produto", "Entrega rápida", "Adorei", "Satisfeita", "ok", "Tudo certo", "10",
    ),
    "fair": (
        "Regular", "Bom, mas atrasou", "Razoável", "Mais ou menos", "Esperava mais", "Veio errado",
        "Faltou um item", "Entrega", "Médio", "3 estrelas",
    ),
    "bad": (
        "Não recebi o produto", "Péssimo", "Não recomendo", "Produto com defeito", "Decepcionada",
        "Atraso na entrega", "Horrível", "Cadê meu pedido?", "Produto errado", "Insatisfeito",
    ),
}  # fmt: skip

OPENINGS = (
    "Boa tarde!",
    "Bom dia.",
    "Olá,",
    "Comprei pela segunda vez.",
    "Foi um presente para minha mãe;",
    "Primeira compra nessa loja.",
)

MESSAGES = {
    "good": (
        "Produto chegou antes do prazo e muito bem embalado.",
        "Gostei muito, é igual ao da foto.",
        "Entrega rápida, recomendo o vendedor!",
        "Ótima qualidade, preço justo e frete barato.",
        "Chegou tudo certinho, obrigada.",
        "Excelente produto, superou as expectativas 😊",
        "Material bom, acabamento perfeito; a cor é linda.",
        "Meu filho adorou o brinquedo, não larga mais.",
        "Funciona bem, instalação simples, sem problemas até agora.",
        "Lençol macio, 200 fios, tamanho correto.",
        'A loja "cumpre o que promete", comprarei de novo.',
        "Muito bom",
        "Recomendo",
        "Atendeu às minhas expectativas, só o manual que não veio em português.",
        "Veio na data combinada, o entregador foi educado.",
    ),
    "fair": (
        "O produto é bom, mas a entrega demorou além do previsto.",
        "Comprei 2 unidades e veio somente 1, estou aguardando a outra.",
        "A cor é diferente da que aparece no anúncio.",
        "Qualidade média, pelo preço esperava mais.",
        "Embalagem veio amassada, porém o produto está inteiro.",
        "Serve para o que eu queria, mas o tecido é fino.",
        'O envio "expresso" levou três semanas.',
        "Faltou o cabo; de resto, tudo certo.",
        "Ainda não testei, depois volto para avaliar.",
        "Tamanho menor do que eu imaginava.",
    ),
    "bad": (
        "Ainda não recebi o produto e ninguém responde meus e-mails.",
        "O prazo já passou faz 15 dias e nada de entrega.",
        "Veio o modelo errado, pedi a troca e não tive retorno.",
        "Produto chegou quebrado, quero meu dinheiro de volta!",
        'No site consta como "entregue", mas aqui não chegou nada.',
        "Péssima qualidade, estragou no primeiro uso.",
        "Cancelaram meu pedido sem nenhuma explicação; paguei por boleto, e agora?",
        "Recebi apenas parte da compra, falta a cadeira.",
        "Não recebi a nota fiscal, preciso dela para a garantia.",
        "Paguei R$ 29,90 de frete e tive que buscar na agência dos correios.",
        "A mercadoria está parada na transportadora desde o dia 12/03.",
        "Não é original, fui enganado.",
    ),
}

CLOSINGS = {
    "good": (
        "Recomendo!", "Parabéns à loja.", "Voltarei a comprar.", "Nota 10.", "Super indico ❤",
        "Obrigado pelo atendimento.",
    ),
    "fair": (
        "Espero que melhorem.", "No geral, ok.", "Aguardo uma solução.", "Poderia ser melhor.",
    ),
    "bad": (
        "Não comprem aqui.", "Aguardo retorno urgente!", "Vou procurar o Procon.",
        "Quero o reembolso, por favor.", "Total falta de respeito com o cliente.",
    ),
}  # fmt: skip

LINE_BREAKS = {
    "good": 'Chegou antes do prazo.\r\nO vendedor é "nota 10", recomendo.',
    "fair": 'Produto bom, mas...\r\nO prazo "garantido" não foi cumprido.',
    "bad": 'Não recebi!\r\n\r\nNo site está "entregue", e aqui não chegou nada.',
}
