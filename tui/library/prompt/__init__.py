r"""The prompt language: A1111's, with wildcards. Pure text in, pure data out.

    prompt      = subprompt { "AND" subprompt }
    subprompt   = { item } [ ":" number ]           how strongly it pulls, where there is an AND
    item        = text | escape | emphasis | schedule | alternation | "BREAK" | tag | choice | wildcard
    emphasis    = "(" { item } [ ":" number ] ")"   1.1 times as strong, or `number` times
                | "[" { item } "]"                  divided by 1.1
    schedule    = "[" [ { item } ":" ] { item } ":" number "]"
                                                    from, to, when: a step, or with a point a part of the steps
    alternation = "[" { item } { "|" { item } } "]" another each step
    tag         = "<lora:" name [ ":" number [ ":" number ] ] ">"
                                                    one weight for all, or the text encoders' and then the denoiser's
    choice      = "{" [ count "$$" [ between "$$" ] ] option { "|" option } "}"
    option      = [ number "::" ] { item }          how often it is chosen
    variable    = "${" name "=" [ "!" ] { item } "}" | "${" name [ ":" { item } ] "}"
    wildcard    = "__" file "__"
    escape      = "\" one of ( ) [ ] { } | < > _ : \

Choices and wildcards are expanded once, when a job is submitted; tags become the job's LoRAs; the rest is read again
at each run. What is not well formed means what it means to A1111, and is told with its place.
"""
