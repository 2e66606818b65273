// The words of the page, one dictionary a language. `{n}` and the like are filled in.
export const words = {
  en: {
    title: "Find similar products", skip: "Skip to the products", words: "Search in words", placeholder: "red leather boots", search: "Search",
    picture: "Search by picture", camera: "Take a photo", asked: "What was asked", filters: "Filters", show: "Show products", clear: "Clear filters",
    examples: "Try for example", chosen: "Your choice", more: "Show more", similar: "Similar products", complements: "Goes well with it",
    popular: "Products to choose from", like: "Like", liked: "Liked", likes: "Liked ({n})", for_likes: "Like what you liked", no_likes: "You have liked nothing yet: press the heart of a product.",
    matching: "{n} of {total} products", found: "{n} products, the most similar first.", one: "One product.", none: "No product matches.", loosen: "Take a filter away to see more.", searching: "Searching …",
    my_picture: "your picture", no_picture: "no picture", from: "from", to: "to", looks_words: "by looks … by words", shows: "It shows", close: "Close",
    image: "looks alike", text: "similar words", history: "often chosen", same: "same {names}", remove: "Remove the filter {name}", brand: "Brand", category: "Category", price: "Price",
    colour: "Colour", department: "Department", pattern: "Pattern", style: "Style", gender: "Gender", season: "Season", added: "Added",
    errors: { offline: "The shop does not answer. Please try again.", unavailable: "Many people are asking right now. Please try again in a moment.", too_many: "That was a lot of questions. Please wait a moment.",
      too_large: "This picture is too large.", unsupported: "This is no JPEG, PNG or WebP picture.", unreadable: "This picture cannot be read.", not_found: "This product is no longer there.",
      unknown_words: "None of these words is known here. Try others.", invalid: "This question cannot be answered. Try another one.", empty: "Say at least one word.", other: "Something went wrong. Please try again." },
  },
  de: {
    title: "Ähnliche Produkte finden", skip: "Zu den Produkten", words: "In Worten suchen", placeholder: "rote Lederstiefel", search: "Suchen",
    picture: "Mit Bild suchen", camera: "Foto aufnehmen", asked: "Bisherige Suche", filters: "Filter", show: "Produkte zeigen", clear: "Filter entfernen",
    examples: "Zum Beispiel", chosen: "Ihre Auswahl", more: "Mehr zeigen", similar: "Ähnliche Produkte", complements: "Passt gut dazu",
    popular: "Produkte zur Auswahl", like: "Gefällt mir", liked: "Gefällt Ihnen", likes: "Gemerkt ({n})", for_likes: "Passend zu Ihren Favoriten", no_likes: "Sie haben sich noch nichts gemerkt: Drücken Sie das Herz eines Produkts.",
    matching: "{n} von {total} Produkten", found: "{n} Produkte, die ähnlichsten zuerst.", one: "Ein Produkt.", none: "Kein Produkt passt.", loosen: "Mit weniger Filtern sehen Sie mehr.", searching: "Suche läuft …",
    my_picture: "Ihr Bild", no_picture: "kein Bild", from: "von", to: "bis", looks_words: "nach Aussehen … nach Worten", shows: "Zu sehen", close: "Schließen",
    image: "sieht ähnlich aus", text: "ähnliche Worte", history: "oft gewählt", same: "gleich: {names}", remove: "Filter {name} entfernen", brand: "Marke", category: "Kategorie", price: "Preis",
    colour: "Farbe", department: "Abteilung", pattern: "Muster", style: "Stil", gender: "Geschlecht", season: "Saison", added: "Neu seit",
    errors: { offline: "Der Shop antwortet nicht. Bitte versuchen Sie es noch einmal.", unavailable: "Gerade fragen sehr viele. Bitte versuchen Sie es gleich noch einmal.", too_many: "Das waren viele Fragen. Bitte warten Sie einen Moment.",
      too_large: "Dieses Bild ist zu groß.", unsupported: "Das ist kein Bild in JPEG, PNG oder WebP.", unreadable: "Dieses Bild kann nicht gelesen werden.", not_found: "Dieses Produkt gibt es nicht mehr.",
      unknown_words: "Keines dieser Worte ist hier bekannt. Versuchen Sie andere.", invalid: "Diese Frage lässt sich nicht beantworten. Versuchen Sie eine andere.", empty: "Geben Sie mindestens ein Wort ein.", other: "Etwas ist schiefgegangen. Bitte versuchen Sie es noch einmal." },
  },
};
